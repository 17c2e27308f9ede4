"""Settings: one class, one environment prefix (``NCRS_``), each setting documented and tested.

Belongs here: every value an operator may change. Does not belong here: policy and weights, which
are data files reviewed as such.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read once at start from the environment; nothing reads ``os.environ`` elsewhere."""

    model_config = SettingsConfigDict(env_prefix="NCRS_", extra="ignore", frozen=True)

    home: Path = Field(Path("data"), description="Folder of everything the product stores.")
    drop: str | None = Field(None, description="Drop folder of the suppliers; default {home}/drop.")
    index: str = Field(
        "embedded",
        description="Search index: embedded, or the https:// addresses of OpenSearch nodes, parted by commas.",
    )
    records: Literal["duckdb", "opensearch"] = Field(
        "duckdb",
        description="Where an API node reads records: its own replica.duckdb, or the OpenSearch cluster, which then"
        " holds marker, manifest and frequencies as well, so that the node needs no file of a generation.",
    )
    control_db: str | None = Field(None, description="Control database URL; default SQLite in the home.")
    audit_db: str | None = Field(None, description="Audit database URL; default SQLite in the home.")
    dagster_home: Path | None = Field(
        None,
        description="Home of the Dagster instance, with its own dagster.yaml; default {home}/dagster with the shipped one.",
    )

    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(8000, description="Port the API listens on.")
    public_base: str = Field(
        "https://api.service.nhs.uk/personal-demographics/FHIR/R4",
        description="Base of fullUrl in answers; PDS's production address, as PDS itself answers.",
    )

    scr_public_base: str = Field(
        "https://api.service.nhs.uk/summary-care-record/FHIR/R4",
        description="Base of addresses in summary care record answers; that service's production address.",
    )

    issuer: str = Field("http://127.0.0.1:8010", description="OIDC issuer whose tokens are accepted.")
    jwks_url: str | None = Field(None, description="Key set address; default {issuer}/jwks. Pinned, never discovered.")
    audience: str = Field("ncrs", description="Audience a token must name, alone.")
    token_algorithms: tuple[str, ...] = Field(("RS512", "RS256", "ES256"), description="Signature algorithms accepted.")
    token_max_age: int = Field(3600, description="Longest life (exp - iat) of an accepted token, seconds.")
    token_leeway: int = Field(30, description="Clock difference allowed, seconds.")
    jwks_min_refetch: int = Field(60, description="Shortest time between two fetches of the key set, seconds.")
    user_assurance: tuple[str, ...] = Field(
        ("AAL2", "AAL3"), description="Assurance levels a user token must have one of; missing is none."
    )
    patient_vectors: tuple[str, ...] = Field(
        ("P9.Cp.Cd", "P9.Cp.Ck", "P9.Cm"), description="NHS login vectors of trust a patient's token must have one of."
    )
    privileged_scope: str = Field(
        "urn:nhsd:apim:app:level3:privileged-personal-demographics-service",
        description="Scope that makes a registered application privileged (pds.md 1.10).",
    )
    applications_file: Path | None = Field(
        None, description="Registered applications (JSON); default the sandbox's, shipped with the product."
    )
    jwks_max_age: int = Field(300, description="Age at which the key set is fetched again, seconds; old keys stay.")
    jwks_timeout: float = Field(3.0, description="Time allowed for one fetch of the key set, seconds.")
    token_cache: int = Field(10_000, description="Most verified tokens remembered until they expire.")
    rate_limit: int = Field(
        200,
        ge=0,
        description="Requests a second that one caller (a user, a patient, or an application without either) may make of"
        " one process, five seconds' worth at once; then 429. 0: no limit. PDS allows 5 to an application by default.",
    )
    audit_queue: int = Field(2_000, description="Most access events waiting to be written; more must wait.")
    audit_batch: int = Field(500, description="Most access events written in one transaction.")
    audit_timeout: float = Field(5.0, description="Longest wait for an event to be durable, seconds; then 503.")

    max_results: int = Field(50, description="Most patients a healthcare worker's search returns (PDS: 50).")
    candidate_limit: int = Field(200, description="Most candidates taken from the index per question.")
    unseen_odds: float = Field(
        0.0005,
        ge=0,
        description="A tolerant search stops comparing candidates when the odds of all that are left, by what their keys"
        " lead one to expect, are no more than this share of the odds of those compared and of nobody. 0: never before"
        " the limit.",
    )
    unseen_odds_doubtful: float = Field(
        0.002,
        ge=0,
        description="The same share while those compared are too unlikely for anybody to be certain.",
    )
    settled_odds: float = Field(
        65_536.0,
        ge=0,
        description="A wide search asks no further keys once those with the sounds asked for, on the day or at the home, have"
        " found people of such odds, all together. 0: it always asks all.",
    )
    most_compared: int = Field(
        100, description="Most candidates compared per question, best first, of those found by a whole birth date."
    )
    second_look_documents: int = Field(
        150, description="How many people the keys of a wide search's second look may be expected to have, together."
    )
    second_look_candidates: int = Field(50, description="Most candidates of a second look that are compared.")
    key_cap: int = Field(
        2000,
        description="Most people a blocking key may have, as counted at the last full build, before it is left out of a"
        " question and counted. Below 1,000 a change takes effect with the next full build.",
    )
    weights: Path | None = Field(
        None,
        description="Match weights that the next generation is built for; default the file that `ncrs weights adopt`"
        " put into the home, else the shipped one. A generation is answered with the weights it was built for.",
    )
    training: Path | None = Field(
        None,
        description="Records as received that weights are estimated from (ncrs weights propose): a file in the batch"
        " trace's form or a folder of such; default the population's own history.",
    )
    restricted_found_by_contact: bool = Field(
        True,
        description="Whether a telephone or e-mail in a PDS search may find an R patient (pds.md 1.9 bars postcode"
        " and practice only). Never in the wide search.",
    )
    show_very_restricted: bool = Field(
        False, description="Whether V records may be found by search (PDS documents nothing: pds.md 1.9)."
    )
    accept_history_alias: bool = Field(
        True,
        description="Let the parameter history (no underscore) through unused, as PDS's sandbox does (pds.md 1.1).",
    )
    very_restricted_fields: tuple[str, ...] = Field(
        (), description="Fields of a V record shown besides its number; PDS's tests leave gender and death open (1.9)."
    )
    summary_of_restricted: bool = Field(
        False, description="Whether a restricted patient's care record summary is answered (weak source, pds.md 1.9)."
    )
    worker_threads: int | None = Field(
        None,
        ge=1,
        description="Threads that search and read; more requests wait, then are shed. Default 2, 1 where the index is held"
        " in memory, 32 with OpenSearch, where they wait for the cluster; NCRS_OPENSEARCH_POOL should not be less.",
    )
    one_core: bool = Field(
        True,
        description="Whether the threads of a serving process share one processor core, each process one of its own"
        " while there are some left. False where a core is lent by quota, as to a container without cores of its own.",
    )
    hold_index: bool = Field(
        False, description="Whether the API locks an embedded index in memory; 10.9 GB for 63 million (ulimit -l)."
    )
    queue_limit: int = Field(64, description="Requests that may wait for a thread; beyond it 503 with Retry-After.")
    drain_seconds: float = Field(
        2.0,
        ge=0,
        description="How long a process that was told to stop (SIGTERM) goes on taking requests while /readyz says 503,"
        " so that whoever balances the load stops sending them; then it ends what is under way.",
    )
    hard_limit_refuses: bool = Field(False, description="Refuse answers from a feed older than its hard limit.")
    search_deadline_ms: int = Field(800, description="Budget of one search, milliseconds.")
    body_limit: int = Field(1_000_000, description="Largest request body, bytes.")

    postcode_results: int = Field(
        200, ge=1, description="Most people a postcode search lists; when there are more, none is listed."
    )
    trace_processes: int = Field(2, ge=1, description="Processes that trace the rows of a file.")
    trace_chunk_rows: int = Field(
        2_000, ge=1, description="Rows of a trace that are answered, recorded and kept together."
    )
    trace_name_needed: bool = Field(
        True,
        description="Whether a row's NHS number with its exact birth date is confirmed only when a name of the row"
        " agrees too, where it has one (pds.md 1.11 asks for number and birth date).",
    )
    trace_partial_birth: bool = Field(
        True,
        description="Whether a partial birth date confirms an NHS number when both names, or a name and the outward"
        " part of a postcode, agree (pds.md 1.11, second step).",
    )
    trace_mistaken_birth: bool = Field(
        True,
        description="Whether a birth date that is wrong in one digit or part, or has day and month exchanged, confirms"
        " an NHS number when both names and the outward part of a postcode agree. Both names alone do not: among people"
        " of one name, a neighbour in date is more often somebody else.",
    )
    trace_against_number: bool = Field(
        True,
        description="Whether a certain person is given for a row whose own NHS number is another person's, and failed"
        " its check (pds.md 1.11, code 33). False: such a row gets no number.",
    )
    trace_no_match: str = Field(
        "", description="What MATCHED_NHS_NO holds where nobody is certain; the national service writes 0000000000."
    )
    trace_several: str = Field(
        "",
        description="What MATCHED_NHS_NO holds where several are close; the national service writes 9999999999, which"
        " passes the check of an NHS number.",
    )
    trace_body_limit: int = Field(200_000_000, description="Largest file that POST /api/trace takes, bytes.")
    trace_at_once_rows: int = Field(
        100, ge=0, description="Most rows of a file that POST /api/trace answers at once; others get a job."
    )
    trace_jobs: int = Field(20, ge=1, description="Most trace jobs of the API that wait or run; more get 429.")
    trace_keep_hours: float = Field(
        24.0, gt=0, description="How long the file of a finished trace job is kept, hours; then it is removed."
    )

    build_memory_gb: float = Field(3.0, description="Memory limit given to DuckDB while building, GB.")
    build_threads: int = Field(2, description="Threads used while building.")
    retention: int = Field(3, description="Generations kept, the current one included.")
    part_rows: int = Field(1_000_000, description="Rows a validated part holds at most.")
    expansion_limit: int = Field(200, description="Largest ratio of unpacked to packed size of a data file.")
    record_limit: int = Field(4_000_000, description="Largest record (line or document) of an extract, bytes.")
    clock_leeway_hours: int = Field(
        744,
        description="How far in the future an extract's as-at time may lie, hours; generous, to catch wrong years only.",
    )
    quarantine_activity: str = Field(
        "B0011",
        description="Activity needed to see, release or drop a quarantined row (services.md 0.2: audit trails).",
    )
    free_space_factor: float = Field(1.5, description="Free disk wanted before a build, times the last generation.")
    serve_memory_gb: float = Field(1.0, description="Memory limit given to DuckDB for one served replica, GB.")
    verify_at_start: bool = Field(
        True, description="Whether the API compares every file's SHA-256 with the manifest before it serves at start."
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level logged.")

    opensearch_user: str | None = Field(None, description="OpenSearch account for basic authentication.")
    opensearch_password: SecretStr | None = Field(None, description="Password of the OpenSearch account.")
    opensearch_ca: Path | None = Field(
        None, description="Certificates (PEM) that sign the cluster's; default the system's."
    )
    opensearch_certificate: Path | None = Field(None, description="Client certificate (PEM) shown to the cluster.")
    opensearch_key: Path | None = Field(None, description="Private key (PEM) of the client certificate.")
    opensearch_aws_region: str | None = Field(
        None, description="Region for SigV4 request signing with the account of the environment; default none."
    )
    opensearch_aws_service: str = Field("es", description="Service name for SigV4: es, or aoss for serverless.")
    opensearch_plain_http: bool = Field(
        False,
        description="Whether a plain http:// address that is not loopback is allowed. Patients' data is then readable on the way.",
    )
    opensearch_prefix: str = Field("", description="Put before every index name, to part installations on one cluster.")
    opensearch_shards: int = Field(
        1, ge=1, description="Primary shards of an index; about one for each 20 million patients."
    )
    opensearch_replicas: int = Field(1, ge=0, description="Copies of each shard once built; 0 on a single node.")
    opensearch_pool: int = Field(
        32, ge=1, description="Most requests to the cluster at a time, and most connections to a node, each process."
    )
    opensearch_connect_timeout: float = Field(
        0.3, gt=0, description="Time allowed to reach one node, its TLS handshake included, seconds."
    )
    opensearch_lease_seconds: float = Field(
        120.0, gt=0, description="How long a generation is kept for a node that has ceased to say it reads it, seconds."
    )
    opensearch_bulk_bytes: int = Field(4_000_000, ge=10_000, description="Size of one bulk request, bytes.")
    opensearch_bulk_patience: float = Field(
        300.0,
        description="How long a build waits for a cluster that refuses or cannot be reached, seconds; then it fails.",
    )

    @property
    def drop_folder(self) -> Path:
        """Where suppliers deliver."""
        return Path(self.drop) if self.drop else self.home / "drop"

    @property
    def generations_folder(self) -> Path:
        """Where generations and the current marker live."""
        return self.home / "generations"

    @property
    def read_threads(self) -> int:
        """Threads that search and read."""
        return self.worker_threads or (32 if self.index != "embedded" else 1 if self.hold_index else 2)

    @property
    def control_url(self) -> str:
        """Control database as an SQLAlchemy URL."""
        return self.control_db or f"sqlite:///{(self.home / 'control.db').resolve()}"

    @property
    def audit_url(self) -> str:
        """Audit database as an SQLAlchemy URL; with PostgreSQL both share one database."""
        if self.audit_db:
            return self.audit_db
        if self.control_db and not self.control_db.startswith("sqlite"):
            return self.control_db
        return f"sqlite:///{(self.home / 'audit.db').resolve()}"
