"""Writes docs/reference.md in the form of AWS's own resource pages, from the schema: `python -m docs.generate`.

The form: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference.md"
SCHEMA = json.loads((ROOT / "schema" / "custom-appfabric-ingestiondestination.json").read_text())
TYPE = SCHEMA["typeName"]
UPDATES = (
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html"
)
NO_INTERRUPTION = f"[No interruption]({UPDATES}#update-no-interrupt)"
REPLACEMENT = f"[Replacement]({UPDATES}#update-replacement)"
NEVER = "Updates are not supported."
READ_ONLY = [path.rpartition("/")[2] for path in SCHEMA["readOnlyProperties"]]
CREATE_ONLY = [path.rpartition("/")[2] for path in SCHEMA["createOnlyProperties"]]
# Attributes that are properties too: whatever name and identifier the template has, the response has the ARN.
PARENTS = {"AppBundleArn": "app bundle", "IngestionArn": "ingestion"}

INTRODUCTION = """\
The app bundle is one property with two names: `AppBundleArn` is the native type's and `AppBundleIdentifier` the API's;
the ingestion likewise, `IngestionArn` and `IngestionIdentifier`. Each takes an ARN or a UUID. Take `AppBundleArn` and
`IngestionArn`, with ARNs, in a new template: the native type has no others, so a later [migration](migration.md) copies
them. A change from one name to the other, or from an ARN to the UUID that it ends in, is no change.

A property that says *Replacement* is changed by a new destination: it is created first, the old one is deleted when the
stack's update is complete, and `Ref` changes. An ingestion takes five destinations, a quota that cannot be raised, so
a replacement needs a free place.

The provider finds every mistake in the properties before it calls AppFabric, and reports all of them in one message in
the stack's events. [troubleshooting.md](troubleshooting.md) has every message. The [cfn-lint rules](../lint/README.md)
report the same mistakes before a deployment.
"""

REF = """\
When you pass the logical ID of this resource to the intrinsic `Ref` function, `Ref` returns the Amazon Resource Name
(ARN) of the ingestion destination. For example:

`arn:aws:appfabric:us-east-1:111122223333:appbundle/11111111-1111-4111-8111-111111111111/ingestion/22222222-2222-4222-8222-222222222222/ingestiondestination/44444444-4444-4444-8444-444444444444`
"""

GET_ATT = """\
The `Fn::GetAtt` intrinsic function returns a value for a specified attribute of this type. The following are the
available attributes. Each is a string, and each is there after every Create and Update.
"""

NOTES = """\
* **Tags of the stack.** CloudFormation does not pass a stack's own tags, nor its `aws:` tags, on to a custom resource.
  Four tags record who owns a destination: `StackId`, `LogicalResourceId`, `Request` and `Replaces`, each with the
  prefix `custom-appfabric-ingestion-destination:`; they leave 46 of the 50 that AppFabric allows. A tag that somebody
  else put on the destination stays.
* **Deleting disables.** AppFabric's API says that deleting a destination while its ingestion is enabled may make the
  ingestion fail and be disabled. Each replacement ends in such a deletion, after the new destination is Active: see
  whether the ingestion is still enabled afterwards, `aws appfabric get-ingestion` says so in `state`.
* **Drift.** CloudFormation detects none for custom resources, and cannot import them. An update compares the template
  with the live destination, not with the last template, and so corrects what it finds.
* **Status.** `Failed` fails a Create, and an Update that changed the destination, with AppFabric's reason. A
  destination that failed later does not stop an Update that changes only its tags, nor its adoption.
* **Regions.** AppFabric is in `us-east-1`, `eu-west-1` and `ap-northeast-1`.
* **Permissions.** Whoever deploys needs none for AppFabric: the provider's role has them.
"""


def reference() -> str:
    """The page."""
    return "\n".join(_page()).rstrip() + "\n"


def _page() -> Iterator[str]:
    yield "<!-- Generated from schema/custom-appfabric-ingestiondestination.json by docs/generate.py: `make docs` -->\n"
    yield f"# {TYPE}\n\n{SCHEMA['description']}\n\n{INTRODUCTION}"
    properties = {name: each for name, each in SCHEMA["properties"].items() if name not in READ_ONLY}
    yield "## Syntax\n\nTo declare this entity in your CloudFormation template, use the following syntax:\n"
    yield from _syntax(properties, TYPE)
    yield "## Properties\n"
    for name, each in sorted(properties.items()):
        yield from _property(name, each, required=_required(name), update=_update(name))
    yield f"## Return values\n\n### Ref\n\n{REF}\n### Fn::GetAtt\n\n{GET_ATT}"
    for name, each in sorted(_attributes().items()):
        yield f"`{name}`\n\n{each}\n"
    yield f"## Remarks\n\n{NOTES}"
    yield "## Examples\n"
    yield from _examples()
    for name, update in _types("", properties, {}).items():
        yield from _type(name, update)


def _type(name: str, update: str) -> Iterator[str]:
    definition = SCHEMA["definitions"][name]
    either = [each["required"][0] for each in definition.get("oneOf", [])]
    yield f"## {TYPE} {name}\n\n{definition['description']}\n\n### Syntax\n"
    yield from _syntax(definition["properties"], "")
    yield "### Properties\n"
    for key, each in sorted(definition["properties"].items()):
        required = "Conditional" if key in either else "Yes" if key in definition.get("required", []) else "No"
        yield from _property(key, each, required=required, update=update)


def _types(inside: str, properties: Mapping[str, Any], found: dict[str, str]) -> dict[str, str]:
    """The types of properties with what an update of each requires, those of a type after it."""
    for name, each in sorted(properties.items()):
        definition = _definition(each)
        if definition and definition not in found:
            found[definition] = found[inside] if inside else _update(name)
            _types(definition, SCHEMA["definitions"][definition]["properties"], found)
    return found


def _definition(schema: Mapping[str, Any]) -> str:
    return str(schema.get("items", schema).get("$ref", "")).rpartition("/")[2]


def _required(name: str) -> str:
    if name in SCHEMA["required"]:
        return "Yes"
    either = {each["required"][0] for group in SCHEMA["allOf"] for each in group.get("oneOf", [])}
    return "Conditional" if name in either else "No"


def _update(name: str) -> str:
    if name == "ServiceToken":
        return NEVER
    return REPLACEMENT if name in CREATE_ONLY else NO_INTERRUPTION


def _property(name: str, schema: Mapping[str, Any], *, required: str, update: str) -> Iterator[str]:
    definition = _definition(schema)
    text = schema.get("description") or SCHEMA["definitions"][definition]["description"]
    said = {
        "Required": required,
        "Type": _kind(schema),
        "Allowed values": " | ".join(f"`{each}`" for each in schema.get("enum", [])),
        "Pattern": " and ".join(f"`{each}`" for each in _patterns(schema)),
        "Minimum": _limit(schema, "minimum", "minLength", "minItems"),
        "Maximum": _limit(schema, "maximum", "maxLength", "maxItems"),
        "Update requires": update,
    }
    lines = "  \n".join(f"*{label}*: {value}" for label, value in said.items() if value)
    yield f"`{name}`\n\n{text}\n\n{lines}\n"


def _patterns(schema: Mapping[str, Any]) -> list[str]:
    """The patterns of a string, without what only keeps a final newline out of Python's `$`."""
    schemas = [schema, *schema.get("allOf", [])]
    return [each["pattern"].replace(r"(?!\n)$", "$") for each in schemas if "pattern" in each]


def _limit(schema: Mapping[str, Any], *keywords: str) -> str:
    return next((f"`{schema[each]}`" for each in keywords if each in schema), "")


def _kind(schema: Mapping[str, Any]) -> str:
    definition = _definition(schema)
    link = f"[{definition}](#{_anchor(definition)})" if definition else ""
    if schema.get("type") == "array":
        return f"Array of {link}"
    return link or schema["type"].capitalize()


def _anchor(definition: str) -> str:
    """GitHub's, of the heading `## Custom::… Definition`."""
    return re.sub(r"[^\w\- ]", "", f"{TYPE} {definition}").lower().replace(" ", "-")


def _attributes() -> dict[str, str]:
    own = {name: SCHEMA["properties"][name]["description"] for name in READ_ONLY}
    return own | {
        name: f"The Amazon Resource Name (ARN) of the {what}, also where the template has its UUID."
        for name, what in PARENTS.items()
    }


def _syntax(properties: Mapping[str, Any], type_name: str) -> Iterator[str]:
    level = "###" if type_name else "####"
    kinds = {name: _plain_kind(each) for name, each in sorted(properties.items())}
    lines = [f'"{name}" : {kind}' for name, kind in kinds.items()]
    indent = "      " if type_name else "  "
    body = ",\n".join(indent + line for line in lines)
    wrapped = (
        f'{{\n  "Type" : "{type_name}",\n  "Properties" : {{\n{body}\n    }}\n}}' if type_name else f"{{\n{body}\n}}"
    )
    yield f"{level} JSON\n\n```\n{wrapped}\n```\n"
    pad = "  " if type_name else ""
    lines = [
        f"{pad}{name}:\n{pad}  {kind}" if "\n" in kind or _is_nested(properties[name]) else f"{pad}{name}: {kind}"
        for name, kind in ((name, _plain_kind(each, yaml=True)) for name, each in sorted(properties.items()))
    ]
    head = f"Type: {type_name}\nProperties:\n" if type_name else ""
    yield f"{level} YAML\n\n```\n{head}" + "\n".join(lines) + "\n```\n"


def _is_nested(schema: Mapping[str, Any]) -> bool:
    return bool(_definition(schema))


def _plain_kind(schema: Mapping[str, Any], *, yaml: bool = False) -> str:
    definition = _definition(schema)
    if schema.get("type") == "array":
        return f"- {definition}" if yaml else f"[ {definition}, ... ]"
    return definition or schema["type"].capitalize()


EXAMPLES = {
    "s3": "OCSF in a bucket",
    "firehose": "OCSF in a stream",
    "two-destinations": "Two destinations on one ingestion",
    "nested-application": "The provider as a nested application",
    "stack-sets": "Several accounts",
}
SHOWN = ("s3", "firehose")


def _examples() -> Iterator[str]:
    yield "Whole templates, each of which is linted and deployed by the tests:\n"
    yield "".join(f"* [{title}](../examples/{name}.yaml)\n" for name, title in EXAMPLES.items())
    for name in SHOWN:
        text = (ROOT / "examples" / f"{name}.yaml").read_text()
        resource = text.partition("\n  Destination:\n")[2].partition("\nOutputs:")[0].rstrip()
        body = {"Destination": yaml_parse(text)["Resources"]["Destination"]}
        yield f"### {EXAMPLES[name]}\n\n#### JSON\n\n```json\n{json.dumps(body, indent=2)}\n```\n"
        lines = "\n".join(line[2:] for line in resource.splitlines())
        yield f"#### YAML\n\n```yaml\nDestination:\n{lines}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(reference())
