"""What a user may change about an environment."""

from __future__ import annotations

import gin
import pytest

from mppi_zoo import envs
from mppi_zoo.envs.options import EnvOptions


@pytest.mark.parametrize("field", ["action_repeat", "max_episode_steps"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_bad_options(field, value):
    with pytest.raises(ValueError, match=f"EnvOptions.{field} = {value!r}: expected"):
        EnvOptions(**{field: value})


def test_options_are_bound_by_gin():
    with gin.unlock_config():
        gin.parse_config("EnvOptions.action_repeat = 4\nEnvOptions.episodic = True")
        options = gin.get_configurable("EnvOptions")()
        gin.clear_config()
    assert options == EnvOptions(action_repeat=4, episodic=True)
    assert envs.spec_of(envs.make("toy:point", options)).episode_length == 7
