"""Whole folders: a plan of the files, workers that pull from it, and a report.

plan = make_plan(source, target, "compress", ".hdc")
crew = LocalCrew(job, layout("auto", None, len(plan.items)))
for row in schedule(crew, plan.items): ...
"""

from __future__ import annotations

from hdcodec.batch.cores import Layout, layout
from hdcodec.batch.local import LocalCrew
from hdcodec.batch.plan import Plan, make_plan
from hdcodec.batch.report import ReportFile, Tally
from hdcodec.batch.rows import Item, Row
from hdcodec.batch.schedule import Crew, schedule
from hdcodec.batch.work import Job

__all__ = [
    "Crew",
    "Item",
    "Job",
    "Layout",
    "LocalCrew",
    "Plan",
    "ReportFile",
    "Row",
    "Tally",
    "layout",
    "make_plan",
    "schedule",
]
