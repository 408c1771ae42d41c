"""What watches/<name>.yml may say: a query whose rows are in breach now, and who is told of each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from views.files import Columns, Identifier, MaxAgeText
from views.templates import Template
from views.values import Duration, Section, fault

LEAST = 0.1  # seconds between two questions


class Message(Section):
    """What is told, with placeholders for the columns of the row, such as {token}."""

    subject: Template = Field(default="", description="One line: a mail's subject. The watch's name unless written.")
    text: Template = Field(min_length=1, description="The message itself.")


class Recipient(Section):
    """Somebody who is told."""

    notifier: Identifier = Field(description="A notifier of vdw.yml.")
    address: Template = Field(
        default="",
        description='Whom: an e-mail address, a telephone number; a column as "{technician_email}"; not for webhooks.',
    )
    when: str | None = Field(default=None, description="SQL condition over the row; without it, for every row.")
    after: Duration = Field(
        default=0.0, description="Told only once the breach has lasted so long, unless it was acknowledged by then."
    )


class WatchFile(Section):
    """`watches/<name>.yml`."""

    description: str = Field(default="", description="What is watched for, for people.")
    owner: str = Field(default="", description="Who to ask about it.")
    query: str = Field(min_length=1, description="One SELECT. Its rows are what is in breach now.")
    key: Columns = Field(description="Columns that say which breach a row is.")
    every: Duration = Field(default=30.0, description="How often it is asked.")
    user: Identifier | None = Field(
        default=None, description="User of vdw.yml with whose rights it asks; needed where there are users."
    )
    max_age: MaxAgeText = Field(
        default="",
        description='How old the data may be, such as "5s". Without it: what is kept of sources may be used.',
    )
    timeout: Duration = Field(default=30.0, description="How long the query may take.")
    max_rows: Annotated[int, Field(gt=0, le=100_000)] = Field(
        default=10_000, description="Rows that may be in breach at once; more is an error, and nothing is alerted."
    )
    alert: Message = Field(description="What is told of a breach.")
    to: Annotated[list[Recipient], Field(min_length=1)] = Field(description="Who is told.")
    remind: Duration | None = Field(
        default=None, description="While the breach lasts, tell again so often, until it is acknowledged."
    )
    cleared: Message | None = Field(
        default=None, description="What those who were told are told when it is over; without it, nothing."
    )
    clears_after: Duration = Field(
        default=0.0, description="How long a row has to be away before its breach is over: against flapping."
    )
    again: Literal["always", "never"] = Field(
        default="always", description="Whether a breach that is over and comes back is told again."
    )
    late: Literal["withdraw", "send"] = Field(
        default="withdraw", description="What becomes of an alert that could not be sent before its breach was over."
    )
    observe: bool = Field(
        default=False, description="A dry run: everything is recorded as if it were sent, and nothing is sent."
    )

    @model_validator(mode="after")
    def _times(self) -> WatchFile:
        if self.every < LEAST:
            raise fault("`every` is too short", f"write {LEAST:g}s or more", ("every",))
        if self.remind is not None and self.remind < self.every:
            raise fault("`remind` is shorter than `every`", "lengthen it", ("remind",))
        if self.timeout <= 0:
            raise fault("`timeout` is 0: no query could run", "lengthen it", ("timeout",))
        return self
