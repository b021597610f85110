# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a domain begins with by the template of its image: memory, vCPUs and context, under what the user says."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..._errors import InvalidInput, about_option
from ..._sizes import MIB
from ..._template.answers import Answers, answers_to
from ..._template.json_form import vm_of
from ..._template.model import VmTemplate
from ..model.request import DomainOptions
from ..model.state import VmState

OPTION, INPUTS = "from_image_defaults", "user_inputs"
WHOLE = re.compile(r"[0-9]{1,9}")
TemplateOf = Callable[[str, str], Mapping[str, Any]]  # of a digest, and the option that errors are about


def with_image_defaults(options: DomainOptions, state: VmState, template_of: TemplateOf) -> DomainOptions:
    """Return the options with what the image of the first disk that has one wants of its VM; ``template_of`` has it by digest.

    Memory and vCPUs are for a new domain, as all defaults are. The context is made again where the options have a part of it.
    """
    if not options.from_image_defaults:
        if options.user_inputs:
            raise InvalidInput(f"{INPUTS}: they are answers to the image, which needs {OPTION}: true.", option=INPUTS)
        return options
    new = state.config is None
    if not new and options.context is None and options.user_inputs is None:
        return options
    template = _template(_image(options, state), template_of)
    keys = options.cloud_init.ssh_authorized_keys if options.cloud_init else ()
    facts = {"name": options.name, "ssh_public_keys": "\n".join(keys)}
    with about_option(OPTION):
        said = [name for name, value in (options.context or {}).items() if value is not None]
        answers = answers_to(template, options.user_inputs or {}, facts, INPUTS, said)
        options = replace(options, context=_context(options, answers))
        return _sized(options, answers) if new else options


def _image(options: DomainOptions, state: VmState) -> str:
    asked = [disk.image for disk in options.disks or () if disk.image]
    known = [volume.image for volume in state.record.volumes if volume.image] if state.record else []
    for image in (*asked, *known):
        return image
    raise InvalidInput(f"{OPTION}: no disk of the domain begins as an image.", option=OPTION, value=True)


def _template(image: str, template_of: TemplateOf) -> VmTemplate:
    data = template_of(image, OPTION)
    with about_option(OPTION):
        return vm_of(data, "the template in the image's manifest") if data else VmTemplate()


def _context(options: DomainOptions, answers: Answers) -> Mapping[str, Any] | None:
    """Return the context: the image's, and over it what the options say; null there leaves a variable out."""
    said = options.context or {}
    merged = {**answers.context(said), **said}
    return merged if merged or options.context is not None else None


def _sized(options: DomainOptions, answers: Answers) -> DomainOptions:
    template = answers.template
    memory = _asked(answers, "MEMORY")
    size = memory * MIB if memory else template.memory
    vcpus = _asked(answers, "VCPU") or template.vcpus or (math.ceil(template.cpu) if template.cpu else None)
    return replace(
        options,
        memory=options.memory or (str(size) if size else None),
        vcpus=options.vcpus if options.vcpus is not None else vcpus,
    )


def _asked(answers: Answers, name: str) -> int | None:
    """Return what a user input of this name says, which OpenNebula takes for the VM's size."""
    if all(one.name != name for one in answers.template.inputs):
        return None
    text = answers.variable(name)
    if text and not WHOLE.fullmatch(text):
        raise InvalidInput(f"{INPUTS}.{name}: a whole number is expected.", option=f"{INPUTS}.{name}")
    return int(text) if text else None
