"""The recipe's commands: `build`, `suite` and `evaluate`. See `--help`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tritonrl_nano.recipe.build import Recipe, build
from tritonrl_nano.recipe.evaluate import evaluate
from tritonrl_nano.recipe.suite import write_suite


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its result goes to stdout as JSON, all else to stderr."""
    from tritonrl_core.errors import TritonRLError

    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        result = _run(options)
    except TritonRLError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return 0


def _run(options: argparse.Namespace) -> dict[str, Any]:
    if options.command == "build":
        recipe = Recipe(examples=options.examples, steps=options.steps, rates=json.loads(options.rates))
        return build(options.out, recipe, options.processes)
    if options.command == "suite":
        return dict(write_suite(options.out))
    return evaluate(options.model, options.preset, options.tasks, options.samples, options.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tritonrl_nano.recipe", description="How tritonrl-nano is made.")
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("build", help="make corpus, tokenizer and weights (minutes on a GPU)")
    made.add_argument("--out", type=Path, required=True, help="folder to write the model to")
    made.add_argument("--examples", type=int, default=Recipe().examples)
    made.add_argument("--steps", type=int, default=Recipe().steps)
    made.add_argument("--rates", default="{}", help='JSON: habits with another rate, such as {"no epsilon": 0.5}')
    made.add_argument("--processes", type=int, default=None, help="default: one for each core it may use")
    suite = commands.add_parser("suite", help="write the tasks that are shipped beside the weights")
    suite.add_argument("--out", type=Path, required=True, help="folder to write train.jsonl and held_out.jsonl to")
    judged = commands.add_parser("evaluate", help="share of right kernels on held-out tasks, at T = 1 and greedy")
    judged.add_argument("--model", type=Path, required=True, help="the model's folder")
    judged.add_argument("--preset", default="all_extensions", help="what the verifier checks")
    judged.add_argument("--tasks", type=int, default=256)
    judged.add_argument("--samples", type=int, default=2, help="completions of each task at temperature 1")
    judged.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
