"""The command line: `emms`."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from collections.abc import Sequence
from contextvars import copy_context
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import Annotated, Any

# Before anything imports Prefect, which reads its settings once. What the user has set stays.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# The temporary server migrates a database when it starts for the first time, which can take longer than 20 seconds.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emms.errors import EMMSError

BAD_INPUT = 2
"""Exit code when nothing was ranked because of what was asked for."""
SOME_FAILED = 1
"""Exit code when there is a ranking, but a candidate is missing from it."""

MEASURING_S = 30.0
"""How long `emms models` measures networks whose sizes are not known yet; those measured are remembered."""

app = typer.Typer(
    name="emms",
    help="Rank pre-trained networks for your dataset without fine-tuning them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out, err = Console(), Console(stderr=True)

Store = Annotated[str | None, typer.Option(help="Folder or fsspec URL where artifacts are kept.")]
# Not a Path, which would take an empty text, such as an unset shell variable, for the current folder.
Output = Annotated[str | None, typer.Option(metavar="DIR", help="Folder that receives the results.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show Prefect's own log, and tracebacks.")]


def _version(asked: bool) -> None:
    if asked:
        out.print(f"emms {version('emms')}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it, and end.")
    ] = False,
) -> None:
    pass


@app.command()
def rank(
    spec: Annotated[Path | None, typer.Argument(help="A YAML file: see the README.", show_default=False)] = None,
    images: Annotated[
        str | None, typer.Option(metavar="DIR", help="Without a file: a folder of class folders of images.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="Without a file: SOURCE:NAME; give it several times.")] = None,
    label_encoder: Annotated[list[str] | None, typer.Option(help="SOURCE:NAME or a folder; may be repeated.")] = None,
    estimator: Annotated[list[str] | None, typer.Option(help="The first one orders the ranking.")] = None,
    limit: Annotated[int | None, typer.Option(help="Use a stratified subsample of so many samples.")] = None,
    store: Store = None,
    output: Output = None,
    device: Device = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be computed; run no network and download nothing.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Rank the candidate networks of SPEC, or those given by --model on the images in --images."""
    from emms.spec.yaml_file import load_spec

    given: dict[str, Any] = {
        "models": model,
        "label_encoders": label_encoder,
        "estimators": estimator,
        "limit": limit,
        "store": store,
        "output": output,
        "device": device,
    }
    if images is not None:
        given["dataset"] = {"format": "imagefolder", "path": images}
    overrides = {key: value for key, value in given.items() if value not in (None, [])}
    if spec is None and (images is None or not model):
        raise EMMSError("there is nothing to rank: give a SPEC.yaml, or --images DIR and --model SOURCE:NAME")
    loaded = load_spec({} if spec is None else spec, **overrides)
    if dry_run:
        os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports the hub's client: a dry run downloads nothing
        _show_plan(loaded)
    else:
        _run(loaded, verbose)


@app.command()
def demo(
    store: Annotated[str, typer.Option(help="Folder or fsspec URL where artifacts are kept.")] = "./artifacts",
    output: Annotated[Path, typer.Option(help="Folder that receives the results.")] = Path("./runs/demo"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    verbose: Verbose = False,
) -> None:
    """Rank nine real candidates, controls among them, on scikit-learn's digits; nothing is downloaded."""
    from flows.demo import demo_spec

    _run(demo_spec(store, output, device), verbose)
    out.print(
        "\nTo rank networks for your own images, one folder a class:\n"
        f"  {sys.argv[0]} rank --images ./photos --model packaged:efficientnet-lite0 --model timm:resnet50.a1_in1k",
        highlight=False,
        soft_wrap=True,  # to be copied
    )


@app.command()
def evaluate(
    scores: Annotated[Path, typer.Option(help="CSV or Parquet: model, score, and dataset and estimator if several.")],
    truth: Annotated[Path, typer.Option(help="CSV or Parquet: model, value, and dataset if several.")],
    output: Annotated[Path | None, typer.Option(help="CSV file that receives the table.")] = None,
) -> None:
    """Say how well scores agree with the truth, for each dataset and estimator."""
    from emms.evaluation import evaluate_csv

    table = evaluate_csv(scores, truth)
    if output is not None:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            table.write_csv(output)
        except OSError as cause:  # polars' own has no number and so no text
            reason = "it is a folder" if output.is_dir() else cause.strerror or cause
            raise EMMSError(f"'{output}' cannot be written: {reason}; name another file") from cause
    _show_evaluation(table)


@app.command()
def models(
    pattern: Annotated[str, typer.Argument(help="Names to list, such as 'resnet*' or 'timm:vit_*'.")] = "*",
) -> None:
    """List the networks that can be ranked, with their sizes; no weights are downloaded."""
    from rich.progress import track

    from emms.models import SOURCES, candidate
    from emms.models.base import Size
    from emms.spec import ModelSpec

    source, colon, name = pattern.rpartition(":")
    name = name if set("*?[") & set(name) else f"*{name}*"
    found = [(s, n) for s, family in SOURCES if not colon or s == source for n in family.names(name)]
    if not found:
        raise EMMSError(f"no model matches '{pattern}'; patterns are as in a shell: '*resnet*'")
    width = max(len(f"{s}:{n}") for s, n in found)
    # Plain lines: rich would take seconds for a table of thousands, and fold names that a pipe is to search.
    lines = [f"{'model':<{width}}  features  M params  G mult-adds"]
    deadline, unmeasured = time.monotonic() + MEASURING_S, 0
    for s, n in track(found, description="measuring", console=err, transient=True):
        model = f"{s}:{n}"
        if time.monotonic() > deadline:
            unmeasured += 1
            lines.append(model)
            continue
        size = Size(*candidate(ModelSpec(source=s, name=n)).size())
        work = "" if size.multiply_adds is None else f"{size.multiply_adds / 1e9:.2f}"
        lines.append(f"{model:<{width}}  {size.features:>8,}  {size.parameters / 1e6:>8.1f}  {work:>11}".rstrip())
    out.print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)
    err.print(f"{len(found):,} names", highlight=False)
    if unmeasured:
        err.print(f"{unmeasured:,} were not measured yet; run it again to measure more", highlight=False)


@app.command()
def estimators() -> None:
    """List the transferability estimators: what they need, what they read, what they cost, and their papers."""
    from emms.estimators import ESTIMATORS

    table = Table(header_style="bold", show_lines=True)
    table.add_column("name", no_wrap=True)
    table.add_column("measures, needs and reads, cost, paper", overflow="fold")
    for name, estimator in ESTIMATORS:
        what = f"{estimator.summary}\nneeds {estimator.needs}, reads {estimator.reads}; cost: {estimator.cost}"
        table.add_row(name, Text(f"{what}\n{estimator.paper}"))
    out.print(table)
    out.print(
        "Cost is work beside one forward pass over the samples: N samples, D1 features, C classes, "
        "K label embeddings of D2 dimensions.",
        highlight=False,
    )


def _show_evaluation(table: Any) -> None:
    """Show an evaluation: as many metrics as there is room for, and below them the models that were left out."""
    from emms.evaluation import METRICS
    from emms.results.tables import add_whole, fitting

    first, *others = METRICS

    def build(metrics: Sequence[str]) -> Table:
        shown = Table(header_style="bold")
        for name in ("dataset", "estimator"):
            shown.add_column(name, overflow="fold", min_width=9)
        columns = {"models": [str(n) for n in table["n_models"]]}
        columns |= {m: ["" if v is None else f"{v:.3f}" for v in table[m]] for m in (first, *metrics)}
        for name, cells in columns.items():
            add_whole(shown, name.replace("_", " "), cells)
        for row, *numbers in zip(table.iter_rows(named=True), *columns.values(), strict=True):
            shown.add_row(Text(row["dataset"] or ""), Text(row["estimator"] or ""), *numbers)
        if hidden := others[len(metrics) :]:
            shown.caption = f"with --output also: {', '.join(hidden)}"
        return shown

    out.print(fitting(build, others, out.width))
    for column in ("not_in_truth", "not_in_scores", "without_score"):
        for names in table[column].drop_nulls().unique(maintain_order=True):
            out.print(f"left out, {column.replace('_', ' ')}: {names}", markup=False, highlight=False)


def _show_plan(spec: Any) -> None:
    from emms.run.plan import plan

    table = Table(header_style="bold")
    for heading in ("stage", "of", "state"):
        table.add_column(heading, overflow="fold")
    for step in plan(spec):
        table.add_row(step.stage, Text(step.what), Text(step.state))
    out.print(table)


def _connect(found: list[str | Exception]) -> None:
    """Have Prefect's server at hand; add its URL to `found`, or what is wrong with it."""
    try:
        from flows.server import connect

        found.append(connect())
    except Exception as fault:
        found.append(fault)


def _run(spec: Any, verbose: bool) -> None:
    """Run the flow; show its progress, its table, and where things lie."""
    if not verbose:
        for name in ("PREFECT_LOGGING_LEVEL", "PREFECT_SERVER_LOGGING_LEVEL"):
            os.environ.setdefault(name, "CRITICAL")
        os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # its logger's level is set when it is imported
        for name in ("timm", "httpx", "urllib3"):
            logging.getLogger(name).setLevel(logging.ERROR)
        warnings.filterwarnings("ignore")
    from emms.results.terminal import Terminal
    from flows.stopping import stoppable

    terminal = Terminal(err)
    with stoppable(terminal):
        err.print("starting …", style="dim")
        found: list[str | Exception] = []
        # A temporary server takes seconds to start: meanwhile this thread imports the rest.
        server = Thread(target=copy_context().run, args=(_connect, found), daemon=True)
        server.start()
        from emms.progress import listener
        from emms.results.ranking import build_ranking
        from emms.run.checks import check_models, check_run

        check_run(spec)
        check_models(spec)
        from flows.rank import rank as flow

        server.join()
        if isinstance(found[0], Exception):
            raise found[0]
        from prefect.settings import PREFECT_API_URL, temporary_settings

        listener.set(terminal)
        with terminal, temporary_settings({PREFECT_API_URL: found[0]}):
            outcome: Any = flow(spec, return_state=True).result()
    ranking = build_ranking(spec, outcome)
    out.print(ranking.table(out.width))
    if ranking.evaluation is not None:
        for tau in ranking.evaluation.filter(estimator=spec.estimators[0].id)["weighted_kendall_tau"]:
            value = "undefined, for it takes three models that differ" if tau is None else f"{tau:.3f}"
            out.print(f"weighted Kendall tau with the truth: {value}", highlight=False)
    for warning in ranking.warnings:
        err.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)
    for reason in ranking.failed.values():
        err.print(f"not ranked: {reason}", style="red", markup=False, highlight=False)
    evaluation = "" if ranking.evaluation is None else "evaluation.csv, "
    results = f"results    {spec.output}/ranking.csv, scores.parquet, {evaluation}run.json"
    for line in (results, f"artifacts  {spec.store}"):
        out.print(line, markup=False, highlight=False)
    if ranking.failed:
        raise typer.Exit(SOME_FAILED)


def main() -> None:
    """Run the command; what the user can mend is one message and exit code 2."""
    try:
        app(standalone_mode=True)
    except EMMSError as fault:
        err.print(f"error: {fault}", style="red", markup=False, highlight=False)
        sys.exit(BAD_INPUT)
    except Exception as fault:
        if {"-v", "--verbose"} & set(sys.argv):
            raise
        err.print(f"error: {type(fault).__name__}: {fault}", style="red", markup=False, highlight=False)
        err.print("this was not foreseen; -v shows where it happened, and what was computed is in the store")
        sys.exit(BAD_INPUT)


if __name__ == "__main__":
    main()
