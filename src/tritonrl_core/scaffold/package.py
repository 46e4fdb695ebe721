"""Lays out a new plugin's package: which files there are and what they say. The hooks' own parts are in `hooks`."""

from __future__ import annotations

import keyword
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template

from tritonrl_core import __version__
from tritonrl_core.errors import UsageError, did_you_mean
from tritonrl_core.hookspecs import HOOK_API, RULES, Kind
from tritonrl_core.scaffold.hooks import STARTERS, TESTING, Starter

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST_NAME = 50

ImportedName = tuple[str, str]


def new_plugin(name: str, hooks: Sequence[str], folder: Path, taken: Iterable[str] = ()) -> list[Path]:
    """Write the package of a plugin `name` that implements `hooks` into `folder`, and give the files written.

    `taken` are names that presets know already. Raises `UsageError`, with nothing written, for a name that is no plugin
    name or is taken, an unknown hook, and a folder that is not empty.
    """
    _check_name(name, taken)
    chosen = _check_hooks(hooks)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already", remedy="Name another folder with --out, or remove it.")
    files = _files(name, chosen)
    for place, text in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [folder / place for place in files]


def _check_name(name: str, taken: Iterable[str]) -> None:
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise UsageError(
            f"{_short(name)!r} is no name for a plugin",
            remedy=f"Lower-case words joined by single underscores, as in memory_use; {LONGEST_NAME} letters at most.",
        )
    if keyword.iskeyword(name) or name in ("test", "tests"):
        raise UsageError(f"{name!r} is a word of Python's or of pytest's", remedy="Choose another, as in memory_use.")
    if name in {*taken, "base"}:
        raise UsageError(f"there is a plugin {name!r} already", remedy="Choose a name that presets do not know yet.")


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"


def _check_hooks(hooks: Sequence[str]) -> list[str]:
    if not hooks:
        raise UsageError("a plugin needs a hook", remedy=f"Name one or more with --hook: {', '.join(RULES)}.")
    for hook in hooks:
        if "," in hook:
            raise UsageError(f"{hook!r} is not one hook", remedy="Say --hook once for each.")
        if hook not in RULES:
            raise UsageError(f"there is no hook {hook!r}", remedy=did_you_mean(hook, RULES))
    return [hook for hook in RULES if hook in hooks]


def _files(name: str, hooks: Sequence[str]) -> dict[str, str]:
    starters = [STARTERS[hook] for hook in hooks]
    words = {
        "name": name,
        "dist": f"tritonrl-plugin-{name.replace('_', '-')}",
        "package": f"tritonrl_plugin_{name}",
        "Class": "".join(word.capitalize() for word in name.split("_")) + "Plugin",
        "hooks": ", ".join(f"`{hook}`" for hook in hooks),
        "core": _siblings(),
        "api": HOOK_API,
    }
    texts = {
        "pyproject.toml": PYPROJECT,
        "README.md": README + _options_table(starters) + "\n" + _notes(hooks) + README_END,
        ".gitignore": ".venv/\nbuild/\ndist/\n__pycache__/\n*.egg-info/\n",
        ".github/workflows/test.yml": WORKFLOW,
        "src/$package/__init__.py": INIT,
        "src/$package/py.typed": "",
        "src/$package/plugin.py": _module(starters),
        "tests/test_$name.py": _tests(starters),
    }
    return {Template(place).substitute(words): Template(text).safe_substitute(words) for place, text in texts.items()}


def _siblings() -> str:
    """The versions of the core that go with this one: until the next minor version."""
    major, minor, *_ = __version__.split(".")
    return f">={__version__},<{major}.{int(minor) + 1}"


def _module(starters: Sequence[Starter]) -> str:
    imports = [("tritonrl_core.plugin", name) for name in ("Plugin", "PluginOptions", "hookimpl")]
    imports += [pair for starter in starters for pair in starter.imports]
    imports += [("tritonrl_core.types", name) for starter in starters for name in starter.types]
    methods = "\n".join(starter.method for starter in starters)
    state = [starter.state for starter in starters if starter.state]
    if "Any" in methods:
        imports += [("typing", "Any"), ("collections.abc", "Mapping")]
    if state:
        imports += [("tritonrl_core.plugin", "PluginContext")]
    parts = [
        MODULE_SAYS, _imports(imports), *("\n" + starter.above for starter in starters if starter.above),
        "\n\n" + CLASS, _options(starters), _constructor(state), "\n" + methods,
    ]  # fmt: skip
    return "".join(parts)


def _options(starters: Sequence[Starter]) -> str:
    fields = [field for starter in starters for field in starter.fields]
    says = '        """What the README\'s table says."""\n\n' if fields else '        """None yet."""\n'
    lines = "".join(f"        {field}\n" for field in fields)
    return f"    class Options(PluginOptions):\n{says}{lines}\n    options: Options\n"


def _constructor(state: Sequence[str]) -> str:
    if not state:
        return ""
    lines = "".join(f"        {line}\n" for line in state)
    return f"\n{CONSTRUCTOR}{lines}"


def _tests(starters: Sequence[Starter]) -> str:
    imports = [(TESTING, "PluginContract"), ("$package", "$Class")]
    imports += [pair for starter in starters for pair in starter.test_imports]
    tests = "\n\n".join(starter.test for starter in starters)
    return f"{TESTS_SAY}{_imports(imports)}\n\n{CONTRACT}\n\n{tests}"


def _imports(pairs: Iterable[ImportedName]) -> str:
    """Import statements as isort orders them: the standard library, the core, the plugin's own package."""
    names: dict[str, set[str]] = defaultdict(set)
    for module, name in pairs:
        names[module].add(name)
    blocks: tuple[list[str], ...] = ([], [], [])
    for module in sorted(names):
        blocks[2 if module.startswith("$") else int(module.startswith("tritonrl_core"))].append(module)
    return "\n".join("".join(_statement(module, names[module]) for module in block) for block in blocks if block)


def _statement(module: str, names: Iterable[str]) -> str:
    ordered = sorted(names, key=lambda name: (not name[0].isupper() and name[0] != "$", name))
    line = f"from {module} import {', '.join(ordered)}\n"
    if len(line) <= 100:
        return line
    return f"from {module} import (\n{''.join(f'    {name},' + chr(10) for name in ordered)})\n"


def _options_table(starters: Sequence[Starter]) -> str:
    said = [option for starter in starters for option in starter.says]
    if not said:
        return "It has no options yet.\n"
    rows = "".join(f"| `{name}` | {default} | {meaning} |\n" for name, default, meaning in said)
    return f"| option | default | meaning |\n| --- | --- | --- |\n{rows}"


def _notes(hooks: Sequence[str]) -> str:
    owned = [f"`{hook}`" for hook in hooks if RULES[hook].kind is Kind.OWNED]
    if not owned:
        return ""
    rule = "one plugin beside the baseline may, unless the preset's `owners:` picks one"
    return f"It owns {', '.join(owned)}: {rule}.\n\n"


PYPROJECT = """[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "$dist"
version = "0.1.0"
description = "A plugin of tritonrl: $name."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["tritonrl-core$core"]

[project.optional-dependencies]
test = ["pytest>=8"]

[project.entry-points."tritonrl.plugins"]
$name = "$package:$Class"

[tool.hatch.build.targets.wheel]
packages = ["src/$package"]

[tool.pytest.ini_options]
testpaths = ["tests"]
"""

README = """# $dist

A plugin of tritonrl. It implements $hooks.

    pip install $dist

```yaml
schema: 1
name: with_$name
extends: baseline
plugins:
  - $name
```

"""

README_END = """\
With it off, the baseline answers. `tritonrl plugins explain --preset FILE` shows who answers which hook.

To work on it:

    pip install -e '.[test]'
    tritonrl plugins list
    python -m pytest

Before you publish it: choose a licence, say here what it is for and what it costs, then `python -m build`.
"""

WORKFLOW = """name: test
on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        python: ["3.11", "3.12"]
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "$${{ matrix.python }}"}
      - run: pip install -e '.[test]'
      - run: python -m pytest
"""

INIT = '''"""$dist: a plugin of tritonrl."""

from $package.plugin import $Class

__all__ = ["$Class"]
'''

MODULE_SAYS = '''"""The plugin's class: its options with their defaults, and its hooks."""

from __future__ import annotations

'''

CLASS = '''class $Class(Plugin):
    """Say in one sentence what it is for."""

    name = "$name"
    hook_api = ">=$api,<2"

'''

CONSTRUCTOR = """\
    def __init__(self, options: PluginOptions | None = None, context: PluginContext | None = None) -> None:
        super().__init__(options, context)
"""

TESTS_SAY = '''"""The plugin keeps the contract of every plugin, and does what it says."""

'''

CONTRACT = """class Test$Class(PluginContract):
    plugin = $Class
"""
