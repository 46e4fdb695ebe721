"""The pages of the reference that are generated: hooks, presets, commands. Run by mkdocs, tested by tests/docs.

Each function gives one page as Markdown, from the code that it describes.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import typer.main
from pydantic import BaseModel

from tritonrl_core import hookspecs
from tritonrl_core.cli.app import app
from tritonrl_core.hookspecs import HOOK_API, RULES
from tritonrl_core.preset.schema import Preset
from tritonrl_core.session.discovery import SHIPPED, installed_plugins, load_plugin
from tritonrl_core.session.implementations import implementations

PRESETS = Path(__file__).parents[1] / "presets"

KINDS = {
    "collect": "Every plugin is asked, and all answers count.",
    "first": "Asked in the preset's order; the first answer that is not `None` counts.",
    "owned": "As *first*, but one plugin beside the baseline at most, unless the preset's `owners:` picks one.",
    "notify": "Every plugin is told; answers are not looked at.",
}


def hooks_page() -> str:
    """Every hook with its arguments, its kind, its contract, and who of the shipped plugins implements it."""
    parts = [
        "# Hooks\n",
        f"What a plugin may implement (hook API {HOOK_API}). `None` means \"I decline, ask the next one\"; an "
        "exception never does. Hooks are synchronous and are called from many threads. A hook may take fewer of its "
        "arguments.\n",
        *(f"*{kind}*: {says}\n" for kind, says in KINDS.items()),
    ]
    answered = _answered()
    for name, rule in RULES.items():
        hook = getattr(hookspecs, name)
        parts.append(f"## {name}\n\n```python\ndef {name}{_signature(hook)}\n```\n")
        parts.append(f"{inspect.getdoc(hook)}\n")
        failure = "becomes `INFRA`, or aborts, by `on_hook_failure`" if rule.verifying else "aborts, naming the plugin"
        shipped = ", ".join(f"`{plugin}`" for plugin in answered.get(name, [])) or "none"
        parts.append(f"Kind: *{rule.kind.value}*. An exception {failure}. Shipped plugins with it: {shipped}.\n")
    return "\n".join(parts)


def _signature(hook: Any) -> str:
    return str(inspect.signature(hook)).replace("'", "")


def _answered() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    installed = installed_plugins()
    for plugin in SHIPPED:
        if plugin in installed:
            for item in implementations(load_plugin(installed[plugin])):
                found.setdefault(item.hook, []).append(plugin)
    return found


def presets_page() -> str:
    """Every key of a preset with its type and default, what each section is for, and the shipped presets."""
    parts = [
        "# Presets\n",
        "A preset is a YAML file. `extends:` takes another one as a base: mappings merge, scalars replace, plugin "
        "lists append, and `without: [x]` removes a plugin. Unknown keys fail with the nearest name. `--set key=value` "
        "changes one value on the command line, and `tritonrl presets show NAME` prints one resolved.\n",
        "## Keys\n", f"{inspect.getdoc(Preset)}\n", "| key | values | default |", "| --- | --- | --- |",
        *(f"| `{key}` | {kind} | `{default}` |" for key, kind, default in preset_keys(Preset)),
        "",
    ]  # fmt: skip
    for name, field in Preset.model_fields.items():
        if _is_section(field.annotation):
            parts.append(f"### {name}\n\n{inspect.getdoc(field.annotation)}\n")
    parts.append("## Shipped presets\n")
    for path in sorted(PRESETS.glob("*.yaml")):
        parts.append(f"### {path.stem}\n\n```yaml\n{path.read_text()}```\n")
    return "\n".join(parts)


def preset_keys(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """(key, what it may be, default) of every value below a section."""
    schema = section.model_json_schema(by_alias=False)["properties"]
    for name, field in section.model_fields.items():
        if _is_section(field.annotation):
            yield from preset_keys(field.annotation, f"{prefix}{name}.")  # type: ignore[arg-type]
        else:
            default = field.get_default(call_default_factory=True)
            yield f"{prefix}{field.alias or name}", _values(schema[name]), _shown(default)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _values(schema: dict[str, Any]) -> str:
    """What a JSON schema allows, in a few words."""
    if "anyOf" in schema:
        return " or ".join(_values(choice) for choice in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = {"object": "mapping", "array": "list", "string": "text", "integer": "whole number"}
    said = kind.get(schema.get("type", "any"), schema.get("type", "any"))
    items = schema.get("items")
    plain = said == "list" and items and items.get("type") not in (None, "array")
    return f"list of {_values(items)}s" if plain else said


def _shown(value: Any) -> str:
    if value == () or value == [] or value == {}:
        return "{}" if value == {} else "[]"
    return str(list(value) if isinstance(value, tuple) else value).replace("|", "or")


EXIT_CODES = (
    "Exit codes: 0 done (and, for `verify`, all passed), 1 some did not, 2 bad usage or a broken reference, "
    "3 a fault of ours.\n"
)


def commands_page() -> str:
    """Every command with its arguments and options, from the parser itself."""
    parts = ["# Commands\n", EXIT_CODES]
    root = typer.main.get_command(app)
    for path, command in walk(root, ("tritonrl",)):
        parts.append(f"## {' '.join(path)}\n\n{_help(command)}\n")
        rows = [row for parameter in command.params if (row := _parameter(parameter))]
        if rows:
            parts.append("| argument or option | meaning |\n| --- | --- |\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command and all below it, with their paths."""
    yield path, command
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield from walk(child, (*path, name))


def _help(command: click.Command) -> str:
    return textwrap.dedent(command.help or "").strip()


def _parameter(parameter: Any) -> str:
    if parameter.name == "help" or getattr(parameter, "hidden", False):
        return ""
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts]) or f"`{parameter.name}`"
    if parameter.param_type_name == "argument":
        names = f"`{parameter.name.upper()}`"
    default = parameter.default
    given = "" if default in (None, False, True, ...) or callable(default) else f" (default `{default}`)"
    meaning = (getattr(parameter, "help", "") or "").replace("|", "or").replace("\n", " ")
    return f"| {names} | {meaning}{given} |"


PAGES = {"hooks": hooks_page, "presets": presets_page, "commands": commands_page}


def write() -> None:
    """Called by mkdocs: the pages into its virtual folder."""
    import mkdocs_gen_files

    for name, page in PAGES.items():
        with mkdocs_gen_files.open(f"reference/{name}.md", "w") as file:
            file.write(page())


if __name__ == "<run_path>":
    write()
