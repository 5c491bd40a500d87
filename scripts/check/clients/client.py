"""Lists, pulls, follows and deletes with the client that openapi-python-client generated: client.py URL TOKEN MODEL."""

import sys

from generated import AuthenticatedClient
from generated.api.agents import list_agents
from generated.api.jobs import get_job, list_jobs, pull_model
from generated.api.models import delete_model, list_models
from generated.models import ErrorCode, JobFilter, JobRequest, JobRequestKind, JobState, Problem

url, token, name = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=token, timeout=90)

agent = list_agents.sync(client=client).agents[0]
assert agent.status == "online" and (agent.disk is None or agent.disk.free_bytes > 0) and agent.last_seen_at.year > 2000, agent


def installed() -> dict[str, int]:
    return {model.name: model.size for model in list_models.sync(client=client).models}


assert name not in installed(), installed()
request = JobRequest(kind=JobRequestKind.PULL, model=name, agents=[agent.agent])
job = pull_model.sync(client=client, body=request).jobs[0]
assert job.code is None and job.requested_by == "demo" and job.created_at.year > 2000, job
while job.state in (JobState.QUEUED, JobState.RUNNING, JobState.VERIFYING):
    job = get_job.sync(job.id, client=client, wait=60)
assert job.state == JobState.SUCCEEDED and job.completed_bytes > 0, job
assert name in installed(), installed()
assert job.id in [other.id for other in list_jobs.sync(client=client, model=name, state=job.state).jobs]
states = [JobFilter.SUCCEEDED, JobFilter.RETRYING]
assert job.id in [other.id for other in list_jobs.sync(client=client, model=name, state=states).jobs]
assert delete_model.sync(agent.agent, name, client=client).agents[0].code is None
assert name not in installed(), installed()
failure = delete_model.sync(agent.agent, name, client=client)
assert isinstance(failure, Problem) and failure.code == ErrorCode.NOT_FOUND, failure
print("python: listed, pulled, followed and deleted")
