"""Everything that is known of two runs beside each other: what all faces of `tapes diff` show, each part made once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from tapes.archive.summary import Summary
from tapes.compare.around import Fact, Files, files, surroundings
from tapes.compare.context import Context, begun, context, prompts
from tapes.compare.ran import Ran, commands
from tapes.compare.run import Run
from tapes.compare.runs import Comparison, compare
from tapes.errors import TapesError
from tapes.session.rows import summary_of
from tapes.session.view import Step
from tapes.values import dataclass


@dataclass
class Everything:
    """Two runs. What is read from bodies is read when it is asked for."""

    a: Run
    b: Run
    names: tuple[str, str]
    """As they were typed: what other commands take too."""
    made: Comparison
    cache: Path

    @classmethod
    def of(cls, a: Run, b: Run, names: tuple[str, str], cache: Path) -> Everything:
        return cls(a, b, names, compare(a.side, b.side), cache)

    @property
    def same(self) -> bool:
        """Nothing that was said, asked for, or came of it differs, but for what is masked."""
        given = all(one.masked for at in (self.begun, self.context) if at for one in at.differences)
        return self.made.same and given and not any(file.counts for file in self.files.found)

    @cached_property
    def context(self) -> Context | None:
        return context(self.made, self.a, self.b)

    @cached_property
    def begun(self) -> Context:
        return begun(self.made, self.a, self.b)

    @cached_property
    def prompts(self) -> list[tuple[str, Context]]:
        return list(prompts(self.a, self.b, self.made.masks))

    @cached_property
    def commands(self) -> list[Ran]:
        return list(commands(self.made, self.a, self.b))

    @cached_property
    def files(self) -> Files:
        return files(self.a, self.b, self.made.masks)

    @cached_property
    def surroundings(self) -> list[Fact]:
        return list(surroundings(self.a, self.b, self.made.masks))

    @cached_property
    def summaries(self) -> tuple[Summary, Summary]:
        return (_summary(self.a), _summary(self.b))

    def screen(self, run: Run, step: Step) -> list[str]:
        """What its terminal showed when a step was recorded; nothing where there was none."""
        if not any(record.type == "terminal" for _, record in run.found.records):
            return []
        from tapes.session.screen.playback import screen_at
        from tapes.session.screen.timeline import moment_of_step
        from tapes_cli.commands.export import recording

        try:
            tape = recording(run.archive, run.session)
            screen, _ = screen_at(tape, moment_of_step(run.archive, tape, step.number), self.cache)
        except TapesError as error:
            return [f"({error})"]
        rows = [line.rstrip() for line in screen.text()]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def remarks(self) -> Iterator[str]:
        """What the comparison can not tell."""
        yield from self.made.remarks
        for at in (self.context, self.begun):
            yield from at.unread if at else ()


def _summary(run: Run) -> Summary:
    return summary_of(run.archive, run.session)
