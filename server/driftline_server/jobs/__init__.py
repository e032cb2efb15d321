"""The door for the clock: what is done again and again, whether or not anybody is looking."""

from driftline_server.jobs.schedule import JOBS, Job, JobContext, job
from driftline_server.jobs.worker import Worker, start_worker

__all__ = ["JOBS", "Job", "JobContext", "Worker", "job", "start_worker"]
