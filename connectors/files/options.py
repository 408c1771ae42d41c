"""The `connection:` of a source of kind `files`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from connectors.duckdb.engine import EngineOptions

Format = Literal["parquet", "csv", "tsv", "json", "arrow", "excel", "delta", "iceberg"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class S3Options(_Section):
    """Where objects are and who asks; what is absent comes from the environment's chain (AWS_..., roles, IMDS)."""

    endpoint: str | None = Field(default=None, description="URL of the service; AWS itself where absent.")
    region: str | None = Field(default=None, description="The region; us-east-1 for services that have none.")
    access_key_id: SecretStr | None = Field(default=None, description="{env: NAME} or {file: path}.")
    secret_access_key: SecretStr | None = Field(default=None, description="{env: NAME} or {file: path}.")
    session_token: SecretStr | None = Field(default=None, description="{env: NAME} or {file: path}.")
    anonymous: bool = Field(default=False, description="Ask without any key.")
    ca_file: str | None = Field(default=None, description="Certificates (PEM) to trust besides the system's.")
    retries: int = Field(default=3, ge=0, le=20, description="Further attempts of one request.")
    timeout: float = Field(default=10.0, gt=0, description="Seconds without a byte after which a request has failed.")


class Reading(_Section):
    """How text files, workbooks and versioned tables are read."""

    delimiter: str | None = Field(default=None, min_length=1, max_length=1, description="Of CSV; a comma.")
    quote: str = Field(default='"', max_length=1, description="Of CSV; empty where nothing is quoted.")
    escape: str = Field(default="", max_length=1, description="Of CSV; empty: a quote is written twice.")
    header: bool = Field(default=True, description="Whether the first row names the columns.")
    names: tuple[str, ...] = Field(default=(), description="The columns where there is no header.")
    nulls: tuple[str, ...] = Field(default=("",), description="Unquoted texts of CSV that mean NULL.")
    encoding: str = Field(default="utf-8", description="Of CSV, as Python names it: cp1252, latin-1, utf-16 ...")
    decimal: Literal[".", ","] = Field(default=".", description="The decimal point of CSV's numbers.")
    sheet: str | None = Field(default=None, description="The sheet of a workbook; the only one where absent.")
    skip: int = Field(default=0, ge=0, description="Rows before the header of a sheet, lines before that of a CSV.")
    version: int | None = Field(default=None, ge=0, description="A Delta table's version; the newest where absent.")
    snapshot: int | None = Field(default=None, description="An Iceberg table's snapshot; the current where absent.")
    catalog: dict[str, str] | None = Field(
        default=None, description="Iceberg's catalog, as PyIceberg's properties name it; `path` is the table's name."
    )


class TableOptions(Reading):
    """One table."""

    path: str = Field(description="A file, a pattern (* and **), or a table's folder; s3://bucket/key for S3.")
    format: Format | None = Field(default=None, description="Where the ending does not tell it.")


class FilesOptions(EngineOptions):
    """The `connection:` of a source of files."""

    folder: str | None = Field(
        default=None, description="Each data file in it is a table, and each folder of files too; s3://bucket/prefix."
    )
    tables: dict[str, str | TableOptions] = Field(default_factory=dict, description="Further tables: a path, or more.")
    reading: Reading = Field(default=Reading(), description="How the tables of `folder` are read.")
    types: dict[str, str] = Field(
        default_factory=dict, description="Types by table.column, where a file has text only, or others are meant."
    )
    formats: dict[str, str] = Field(
        default_factory=dict, description="How dates and times are written, by table.column, as strptime has it."
    )
    prove: int = Field(
        default=256 * 2**20,
        ge=0,
        description="Bytes of a table up to which columns without a declared type get the one that all values prove.",
    )
    s3: S3Options = Field(default=S3Options(), description="Access to s3:// paths.")
    max_files: int = Field(default=10_000, gt=0, description="Files of one table; more are an error.")

    @model_validator(mode="after")
    def _something(self) -> FilesOptions:
        if self.folder is None and not self.tables:
            raise ValueError("neither folder nor tables is given")
        return self
