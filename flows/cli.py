"""The command line: `emms`."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

# Before anything imports Prefect, which reads its settings once. The user's settings take precedence.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
# On its first start, the temporary server migrates a database, which can take longer than the default, 20 seconds.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")

import typer
from rich.console import Console

from emms.errors import EMMSError
from flows.streams import Stream

if TYPE_CHECKING:
    from emms.spec import Spec

BAD_INPUT = 2
"""Exit code for errors that the user can fix."""
UNFORESEEN = 70
"""Exit code for a bug in emms: EX_SOFTWARE of sysexits.h."""
NOT_PRINTED = 74
"""Exit code if everything succeeded but output could not be printed: EX_IOERR of sysexits.h."""

app = typer.Typer(
    name="emms",
    help="Rank pre-trained networks for your dataset without fine-tuning them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_stdout, _stderr = Stream("stdout"), Stream("stderr")
out, err = Console(file=cast(Any, _stdout)), Console(file=cast(Any, _stderr))

Store = Annotated[str | None, typer.Option(help="Folder or fsspec URL where artifacts are stored.")]
# Not a Path, for which an empty string, such as an unset shell variable, is the current folder.
Output = Annotated[str | None, typer.Option(metavar="DIR", help="Folder for the results.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show Prefect's log, and tracebacks.")]


def _version(show: bool) -> None:
    if show:
        out.print(f"emms {version('emms')}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def rank(
    spec: Annotated[Path | None, typer.Argument(help="A YAML file: see the README.", show_default=False)] = None,
    images: Annotated[
        str | None, typer.Option(metavar="DIR", help="Instead of a file: a folder with one folder of images per class.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="Instead of a file: SOURCE:NAME; can be repeated.")] = None,
    label_encoder: Annotated[list[str] | None, typer.Option(help="SOURCE:NAME or a folder; can be repeated.")] = None,
    estimator: Annotated[
        list[str] | None, typer.Option(help="Can be repeated; the first one orders the ranking.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Use a stratified subsample of this size.")] = None,
    store: Store = None,
    output: Output = None,
    device: Device = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be computed, without running networks or downloading.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Rank the candidate networks of SPEC, or those given by --model on the images in --images."""
    from emms.spec import load_spec

    options: dict[str, Any] = {
        "models": model,
        "label_encoders": label_encoder,
        "estimators": estimator,
        "limit": limit,
        "store": store,
        "output": output,
        "device": device,
    }
    if images is not None:
        options["dataset"] = {"format": "imagefolder", "path": images}
    overrides = {key: value for key, value in options.items() if value not in (None, [])}
    if spec is None and (images is None or not model):
        raise EMMSError("there is nothing to rank: give a SPEC.yaml, or --images DIR and --model SOURCE:NAME")
    loaded = load_spec({} if spec is None else spec, **overrides)
    if dry_run:
        _show_plan(loaded)
    else:
        from flows.run_command import run

        run(loaded, out, err, verbose)


@app.command()
def demo(
    task: Annotated[
        str | None, typer.Option(help="Rank for this downstream task, on generated scenes.", show_default=False)
    ] = None,
    store: Annotated[str, typer.Option(help="Folder or fsspec URL where artifacts are stored.")] = "./artifacts",
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("./runs/demo"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    verbose: Verbose = False,
) -> None:
    """Rank real networks and untrained controls, by default on scikit-learn's digits; nothing is downloaded."""
    from flows.demo import demo_spec
    from flows.run_command import run

    run(demo_spec(store, output, device, task), out, err, verbose)
    out.print(
        "\nTo rank networks for your own images, one folder per class:\n"
        f"  {sys.argv[0]} rank --images ./photos --model packaged:efficientnet-lite0 --model timm:resnet50.a1_in1k",
        highlight=False,
        soft_wrap=True,  # so that it can be copied
    )


@app.command()
def evaluate(
    scores: Annotated[Path, typer.Option(help="CSV or Parquet: model, score, and dataset and estimator if several.")],
    truth: Annotated[Path, typer.Option(help="CSV or Parquet: model, value, and dataset if several.")],
    output: Annotated[Path | None, typer.Option(help="CSV file for the table.")] = None,
) -> None:
    """Measure how well scores agree with the truth, for each dataset and estimator."""
    from emms.evaluation import evaluate_csv, remarks
    from emms.results.evaluation_table import evaluation_table

    table = evaluate_csv(scores, truth)
    if output is not None:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            table.write_csv(output)
        except OSError as cause:  # polars raises one without errno and strerror
            reason = "it is a folder" if output.is_dir() else cause.strerror or cause
            raise EMMSError(f"'{output}' cannot be written: {reason}; name another file") from cause
    out.print(evaluation_table(table, out.width))
    for remark in remarks(table):
        out.print(remark, markup=False, highlight=False)


@app.command()
def models(
    pattern: Annotated[str, typer.Argument(help="Names to list, such as 'resnet*' or 'timm:vit_*'.")] = "*",
    task: Annotated[str | None, typer.Option(help="List only networks that can read the samples of this task.")] = None,
) -> None:
    """List the networks that can be ranked, with their sizes; no weights are downloaded."""
    from rich.progress import track

    from emms.results.listings import find_models, model_lines

    specs, broken = find_models(pattern, task)
    lines = model_lines(specs, lambda all_: track(all_, description="measuring", console=err, transient=True))
    out.print(lines, soft_wrap=True, highlight=False, markup=False)
    err.print(f"{len(specs):,} names", highlight=False)
    for reason in broken:
        err.print(f"warning: {reason}", style="yellow", markup=False, highlight=False)


@app.command()
def estimators() -> None:
    """List the transferability estimators: what they need, what they read, what they cost, and their papers."""
    from emms.estimators import ESTIMATORS
    from emms.results.listings import estimator_table

    out.print(estimator_table())
    out.print(
        "Cost is the number of operations in addition to one forward pass over the samples: N samples, D1 features, "
        "C classes, K label embeddings of D2 dimensions.",
        highlight=False,
    )
    for reason in ESTIMATORS.broken():
        err.print(f"warning: {reason}", style="yellow", markup=False, highlight=False)


def _show_plan(spec: Spec) -> None:
    from emms.results.plan_table import plan_table
    from emms.run.dry_run import dry_run
    from emms.run.estimate import estimate

    plan = dry_run(spec)
    out.print(plan_table((step.stage, step.of, step.state) for step in plan.steps))
    if plan.to_extract:
        out.print(estimate(plan.workspace, plan.to_extract), highlight=False, soft_wrap=True)
    for reason in plan.failed.values():
        err.print(f"will be left out: {reason}", style="red", markup=False, highlight=False)


def _open_closed_streams() -> None:
    """Replace standard streams that are closed, as by `>&-`, with the null device, for child processes too."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # which gets the lowest free number
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8")  # noqa: SIM115


def main() -> None:
    """Run the command. Errors that the user can fix end with a message and exit code 2."""
    _open_closed_streams()
    code = _run()
    for stream, other in ((_stdout, err), (_stderr, out)):
        if stream.error is not None:
            other.print(
                f"the command's output could not be printed: {stream.error.strerror}; everything else is done",
                highlight=False,
            )
            code = code or NOT_PRINTED
    sys.exit(code)


def _run() -> int:
    """Run the command and return its exit code."""
    try:
        app(standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except EMMSError as fault:
        err.print(f"error: {fault}", style="red", markup=False, highlight=False)
        return BAD_INPUT
    except Exception as fault:
        if {"-v", "--verbose"} & set(sys.argv):
            raise
        err.print(f"error: {type(fault).__name__}: {fault}", style="red", markup=False, highlight=False)
        err.print("this is a bug in emms; -v shows the traceback, and what was computed is in the store")
        return UNFORESEEN
    return 0


if __name__ == "__main__":
    main()
