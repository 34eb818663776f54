"""The tables ``tag_categories``, ``tags`` and ``tag_members``. Fields: docs/vergeos-api.md."""

from exporter.simulator.api.tables.columns import Link, Table, attribute, by_key, constant

_CATEGORIES = Table(
    name="tag_categories",
    rows=lambda view: view.world.categories.values(),
    columns={
        "$key": attribute("key"),
        "name": attribute("name"),
        "description": attribute("description"),
        "single_tag_selection": constant(value=False),
        "taggable_vms": constant(value=True),
        "created": attribute("created"),
        "modified": attribute("created"),
    },
)


_TAGS = Table(
    name="tags",
    rows=lambda view: view.world.tags.values(),
    columns={
        "$key": attribute("key"),
        "name": attribute("name"),
        "description": constant(""),
        "category": attribute("category.key", leads_to="tag_categories"),
        "created": attribute("created"),
        "modified": attribute("created"),
    },
    links={"category": Link("tag_categories", lambda tag, _view: tag.category)},
)


_TAG_MEMBERS = Table(
    name="tag_members",
    rows=lambda view: view.world.tag_members.values(),
    find=by_key(lambda view: view.world.tag_members),
    columns={
        "$key": attribute("key"),
        "tag": attribute("tag.key", leads_to="tags"),
        "member": attribute("member"),
    },
    links={"tag": Link("tags", lambda row, _view: row.tag)},
)


TABLES = (_CATEGORIES, _TAGS, _TAG_MEMBERS)
