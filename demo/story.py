"""The story, chapter by chapter. Each chapter runs what a user would type and checks what it must have done."""

from __future__ import annotations

import shlex
import sys

from demo.emulated import EmulatedCloud
from demo.page import write_page
from demo.project import ROOT, Ended, Project
from demo.screen import Screen
from demo.witness import Witness

SWITCH = ("config", "set", "imageGenerationProvider")


class Story:
    def __init__(self, project: Project, screen: Screen, *, keep: bool) -> None:
        self.project = project
        self.screen = screen
        self.keep = keep
        self.cloud = EmulatedCloud(project.environment["SWITCHBACK_EMULATOR_URL"])
        self.failures: list[str] = []

    def tell(self) -> int:
        """0 when every chapter went as it must."""
        self._introduce()
        for chapter in (
            self.up_on_scenario,
            self.refused_switch,
            self.verified_switch,
            self.nothing_to_do,
            self.rollback,
            self.reconcile,
        ):
            chapter()
        if self.keep:
            self._leave_open()
        self.destroy()
        page = write_page(self.project.directory, self.screen.times, self.screen.clock_speed)
        self.screen.chapter("The end")
        self.screen.table_of_times()
        self.screen.say(f"The pictures: {page.relative_to(ROOT)}")
        for failure in self.failures:
            self.screen.bad(failure)
        return 1 if self.failures else 0

    def _introduce(self) -> None:
        self.screen.say(
            "Engine, Worker runtime and HTTP are real. Cloudflare, RunPod, Scenario and ComfyUI are emulated on this\n"
            f"machine: their pictures are painted, their time runs {self.screen.clock_speed:g} times as fast."
        )
        self.project.create()

    def up_on_scenario(self) -> None:
        self.screen.chapter("1  Deploy: Scenario serves")
        ended = self._pulumi("up", "--skip-preview")
        self.screen.time("first `pulumi up`, verified before and after traffic", ended, generates=True)
        self._check(ended.code == 0, "deployed and verified", "the first `pulumi up` failed")
        self.gateway_url = self.project.expect("pulumi", "stack", "output", "apiUrl").strip()

    def refused_switch(self) -> None:
        self.screen.chapter("2  Switch to a RunPod that lacks its model: refused")
        self.cloud.break_down("runpod_jobs", "model_not_found")
        self._type(*SWITCH, "runpod")
        with Witness(self.gateway_url) as witness:
            ended = self._pulumi("up", "--skip-preview")
        self.screen.time("refused switch", ended, generates=True)
        self._check(
            ended.code != 0, "refused: the candidate failed its verification", "a broken candidate got through"
        )
        self._check(
            not witness.errors and set(witness.answers) == {"scenario"},
            f"Scenario served on: {witness.summary()}",
            f"the live provider was disturbed: {witness.summary()}",
        )

    def verified_switch(self) -> None:
        self.screen.chapter("3  The model is there now: switch again")
        self.cloud.heal()
        with Witness(self.gateway_url) as witness:
            ended = self._pulumi("up", "--skip-preview")
        self.screen.time("verified switch", ended, generates=True)
        self._check(ended.code == 0, "verified, moved, verified live", "the switch failed")
        self._check(not witness.errors, witness.summary(), f"requests were lost: {witness.summary()}")

    def nothing_to_do(self) -> None:
        self.screen.chapter("4  Once more: nothing changes, nothing is paid")
        paid = self.cloud.paid()
        ended = self._pulumi("up", "--skip-preview", "--expect-no-changes")
        self.screen.time("`pulumi up` without a change", ended)
        self._check(
            ended.code == 0 and self.cloud.paid() == paid,
            "no change, no generation",
            "a second `up` was not a no-op",
        )

    def rollback(self) -> None:
        self.screen.chapter("5  RunPod dies while it is live: roll back at once")
        self.cloud.break_down("runpod_jobs", "down")
        ended = self._switchback("rollback", "--now", "--reason", "RunPod is down")
        self.screen.time("`switchback rollback --now`, confirmed", ended)
        self._check(ended.code in (0, 12), "rolled back and confirmed", "the rollback failed")
        self.screen.say("\nA plain preview tells the truth, although the configuration still says runpod:")
        preview = self._pulumi("preview")
        self._check(
            "scenario" in preview.output and "unchanged" not in preview.output.splitlines()[-1],
            "the preview sees the rollback",
            "the preview did not see the rollback",
        )

    def reconcile(self) -> None:
        self.screen.chapter("6  Bring Pulumi back in line")
        paid = self.cloud.paid()
        self.screen.command("switchback reconcile --yes")
        ended = self.project.run(["switchback", "reconcile", "--yes"], self.screen.pulumi_lines())
        self.screen.time("`switchback reconcile`", ended)
        self._check(
            ended.code == 0 and self.cloud.paid() == paid,
            "configuration, state and traffic agree; nothing was paid",
            "reconcile failed",
        )

    def destroy(self) -> None:
        self.screen.chapter("7  Destroy: nothing is left")
        ended = self._pulumi("destroy", "--skip-preview")
        self.screen.time("`pulumi destroy`", ended)
        left = self.cloud.leftovers()
        self._check(
            ended.code == 0 and not left, "nothing left at any vendor", f"left behind: {left or ended.code}"
        )

    def _leave_open(self) -> None:
        directory = self.project.directory.relative_to(ROOT)
        self.project.write_exports("environment")
        self.screen.chapter("Everything is up (KEEP=1)")
        self.screen.say(
            f"In another shell: cd {directory} && . ./environment, then try\n"
            "  switchback status\n"
            "  switchback generate 'A knight' txt2img --via-gateway\n"
            "  switchback history\n"
            "Enter (or the end of the input) takes it down."
        )
        sys.stdin.readline()

    def _type(self, *arguments: str) -> Ended:
        self.screen.command(f"pulumi {' '.join(arguments)}")
        return self.project.run(["pulumi", *arguments])

    def _pulumi(self, command: str, *arguments: str) -> Ended:
        shown = [argument for argument in arguments if argument != "--skip-preview"]
        self.screen.command(" ".join(["pulumi", command, *shown]))
        return self.project.pulumi(command, *arguments, tell=self.screen.pulumi_lines())

    def _switchback(self, *arguments: str) -> Ended:
        self.screen.command(shlex.join(["switchback", *arguments]))
        return self.project.run(["switchback", *arguments], self._verbatim)

    def _verbatim(self, line: str) -> None:
        self.screen.say(f"  {line}")

    def _check(self, holds: bool, good: str, bad: str) -> None:
        if holds:
            self.screen.good(good)
        else:
            self.screen.bad(bad)
            self.failures.append(bad)
