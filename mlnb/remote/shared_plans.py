"""Plans in the remote store: a project's files, the parameters and the recipes, which other machines run stages of."""

from mlnb.engine.confined_names import is_digest
from mlnb.engine.digests import digest_bytes
from mlnb.engine.remote_messages import PlannedRun, PushPlan
from mlnb.errors import SchemaError
from mlnb.remote.entries import PlanEntry, object_name, planned_name
from mlnb.remote.pushing import Pusher
from mlnb.remote.remote_session import RemoteSession


def push_plan(session: RemoteSession, pusher: Pusher, request: PushPlan) -> None:
    """Push the files of a plan, then the plan, then a pointer for each recipe. Raises `RemoteError`."""
    plan, root = request.plan, session.project.root
    files = {name: digest for name, digest in plan.files.items() if digest not in pusher.erased}
    session.transfer_all(lambda name: session.objects.upload(object_name(files[name]), root / name), sorted(files))
    data = session.entries.wrap(PlanEntry(plan=plan))
    digest = digest_bytes(data)
    session.objects.create(object_name(digest), data)

    def point(recipe: str) -> None:
        session.objects.replace(planned_name(recipe), digest.encode())

    session.transfer_all(point, plan.recipes.values())


def find_plan(session: RemoteSession, recipe: str) -> PlannedRun | None:
    """Return the plan with a recipe; None when there is none that can be used. Raises `RemoteError`."""
    digest = (session.objects.read(planned_name(recipe)) or b"").decode(errors="replace")
    data = session.objects.read(object_name(digest)) if is_digest(digest) else None
    if data is None or digest_bytes(data) != digest:
        return None
    try:
        return session.entries.open_plan(data, recipe)
    except SchemaError as error:
        session.warn(str(error))
        return None
