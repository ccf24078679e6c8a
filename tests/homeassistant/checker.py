"""Runs among Home Assistant's packages, not the bridge's: what its MQTT integration makes of a discovery.

Reads from standard input a JSON list of `{"component", "payload", "states"}`, `states` being by the name of a template
what comes on its topic. Writes a list of `{"taken", "left_out", "shown"}`, or `{"error"}` for what is refused: the keys
that were understood and those that were not, and what each template shows for each state.
"""

import asyncio
import importlib
import json
import sys

import voluptuous as vol
from homeassistant.components.mqtt import abbreviations
from homeassistant.core import HomeAssistant
from homeassistant.helpers.template import Template


def check(hass, each):
    """Return what becomes of one discovery."""
    platform = importlib.import_module(f"homeassistant.components.mqtt.{each['component']}")
    try:
        taken = platform.DISCOVERY_SCHEMA(each["payload"])
    except vol.Invalid as error:
        return {"error": str(error)}
    shown = {
        name: [
            str(Template(each["payload"][name], hass).async_render_with_possible_json_value(state, parse_result=False))
            for state in states
        ]
        for name, states in each["states"].items()
    }
    abbreviated = {name for name in each["payload"] if abbreviations.ABBREVIATIONS.get(name, name) != name}
    left_out = sorted((set(each["payload"]) - set(taken)) | abbreviated)
    return {"taken": sorted(taken), "left_out": left_out, "shown": shown}


async def main():
    """Check all of them."""
    hass = HomeAssistant("/nonexistent")
    json.dump([check(hass, each) for each in json.load(sys.stdin)], sys.stdout)


asyncio.run(main())
