"""The agent's task as a Gymnasium environment (paper 3.1): one slice per episode.

    env = gymnasium.make(
        "nasoseg_train.agent.gym:NasoSeg/Detection-v0", data=slices, preset=PAPER
    )

It uses `environment.Episodes`, as training does: same actions, same boxes, same rewards.
`reset(options={"slice": 7})` takes slice 7 of the set; without it a slice is drawn at random,
tumour slices only unless `tumour_free`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from ..data.slice_set import SliceSet
from ..geometry import boxes as bx
from ..networks import RoiCrop
from ..networks.roi_crop import with_context
from ..run import pictures
from ..run.presets import Preset
from .environment import PAST_NONE, Episodes, Views
from .observation import load_images, to_u8, whole_boxes

Array = np.ndarray
ID = "NasoSeg/Detection-v0"


class DetectionEnv(gymnasium.Env[dict[str, Array], np.int64]):
    """Eleven actions on a box, Algorithm 1's reward.

    Observation: `whole` and `crop`, uint8 [3, C, C], the slice and the box as the trunk sees them;
    `box`, its edges x0, y0, x1, y1 as shares of the grid; `history`, the last actions one-hot [h,
    11], newest first, zeros if there is none. Terminated by the terminal action, truncated after
    `max_steps`. `info` holds the box in pixel edges of the grid, the row of the slice and whether
    it holds tumour.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["rgb_array"],
        "render_fps": 2,
    }

    def __init__(
        self,
        data: SliceSet,
        preset: Preset,
        tumour_free: bool = False,
        augment: bool = False,
        render_mode: Literal["rgb_array"] | None = None,
    ) -> None:
        """`augment` shows slices flipped, resized and moved as the preset's training does."""
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"found render_mode {render_mode!r}, expected rgb_array or None")
        rows = np.arange(len(data)) if tumour_free else np.flatnonzero(data.tumour)
        if not len(rows):
            raise ValueError(
                "found no slice with tumour in the set, expected one or more. Give another set, or "
                "tumour_free=True"
            )
        if data.grid != preset.input.grid:
            raise ValueError(
                f"found slices {data.grid} pixels wide in the set, expected {preset.input.grid} "
                f"for preset {preset.name}. Make the set with this preset's input"
            )
        self.data, self.preset, self.augment, self.render_mode, self._rows = (
            data,
            preset,
            augment,
            render_mode,
            rows,
        )
        trunk, c = preset.trunk, preset.trunk.crop
        self._crop = RoiCrop(c, trunk.sampling_ratio, trunk.context)
        self.episodes = Episodes(data, preset, 1)
        self.path: list[Array] = []
        self.action_space = spaces.Discrete(bx.N_ACTIONS)
        self.observation_space = spaces.Dict(  # type: ignore[assignment]
            {
                "whole": spaces.Box(0, 255, (3, c, c), np.uint8),
                "crop": spaces.Box(0, 255, (3, c, c), np.uint8),
                "box": spaces.Box(0.0, 1.0, (4,), np.float32),
                "history": spaces.MultiBinary((preset.history, bx.N_ACTIONS)),
            }
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        super().reset(seed=seed)
        options = options or {}
        unknown = set(options) - {"slice"}
        if unknown:
            raise ValueError(f"found option {sorted(unknown)[0]!r}, expected `slice`")
        row = (
            int(options["slice"]) if "slice" in options else int(self.np_random.choice(self._rows))
        )
        if not 0 <= row < len(self.data):
            raise ValueError(
                f"found slice {row}, expected one of the set's 0 to {len(self.data) - 1}"
            )
        views, d = Views.plain(1), self.preset.detector
        if self.augment:
            views = Views.random(1, self.data.grid, d.shift, d.scale, d.flip, self.np_random)
        self.episodes.start(np.array([0]), np.array([row]), views)
        self._image = load_images(self.data, np.array([row]))
        self._whole = self._look(whole_boxes(1, self.data.grid))
        self.path = [self.episodes.boxes[0].copy()]
        return self._observation(), self._info()

    def step(self, action: np.int64) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        if not self.path:
            raise RuntimeError("call reset before step")
        rewards, stopped, over = self.episodes.step(np.array([int(action)]))
        self.path.append(self.episodes.boxes[0].copy())
        return (
            self._observation(),
            float(rewards[0]),
            bool(stopped[0]),
            bool(over[0] and not stopped[0]),
            self._info(),
        )

    def render(self) -> Array | None:
        """T1C in the episode's view with the boxes so far: white the first, blue the next, yellow
        the last; the target red.
        """
        if self.render_mode is None or not self.path:
            return None
        grid = self.data.grid
        seen = self._view(RoiCrop(grid, 2), whole_boxes(1, grid))[0, 1]
        target = self.episodes.target[0] if self.episodes.tumour[0] else None
        return pictures.trajectory(seen.numpy(), np.array(self.path), target)

    def _view(self, crop: RoiCrop, boxes: Array) -> torch.Tensor:
        views = self.episodes.views
        where = torch.from_numpy(views.to_image(boxes, self.data.grid)).float()
        out = crop.sample(self._image, where, torch.zeros(1, dtype=torch.int64))
        return out.flip(-1) if views.flip[0] else out

    def _look(self, boxes: Array) -> Array:
        wide = with_context(torch.from_numpy(boxes), self._crop.context, self.data.grid).numpy()
        return to_u8(self._view(self._crop, wide))[0].numpy()

    def _observation(self) -> dict[str, Array]:
        past = self.episodes.past[0]
        history = (past[:, None] == np.arange(bx.N_ACTIONS)) & (past != PAST_NONE)[:, None]
        box = np.clip(self.episodes.boxes[0] / self.data.grid, 0, 1).astype(np.float32)
        crop = self._look(self.episodes.boxes)
        return {
            "whole": self._whole.copy(),
            "crop": crop,
            "box": box,
            "history": history.astype(np.int8),
        }

    def _info(self) -> dict[str, Any]:
        row = int(self.episodes.slices[0])
        return {
            "box": self.episodes.boxes[0].copy(),
            "slice": row,
            "tumour": bool(self.episodes.tumour[0]),
        }


if ID not in gymnasium.registry:
    gymnasium.register(ID, entry_point="nasoseg_train.agent.gym:DetectionEnv")
