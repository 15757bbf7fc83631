"""
Samples of an epoch, painted when they are first downloaded.

An early epoch is blurred, pale and grainy, the last one sharp, so that a page of samples shows the progress.
Without Pillow (the extra ``demo``) a sample is an unchanged training image.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
import zlib
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from airflow_provider_scenario.emulator.records import Asset, Recipe
    from airflow_provider_scenario.emulator.state import State

SIDE = 512
# One pixel, for a training whose images have all been deleted.
EMPTY_GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
EMPTY_GIF += b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"


@cache
def can_paint() -> bool:
    return importlib.util.find_spec("PIL") is not None


def sample_mime_type(state: State, sources: tuple[str, ...]) -> str:
    if can_paint() or not sources or sources[0] not in state.assets:
        return "image/jpeg"
    return state.assets[sources[0]].mime_type


async def content_of(state: State, asset: Asset) -> bytes:
    """The asset's bytes. A sample is painted once, in a thread: painting would block the event loop."""
    if asset.content is None and asset.recipe is not None:
        sources = [
            await content_of(state, state.assets[source]) for source in asset.recipe.sources if source in state.assets
        ]
        if can_paint():
            asset.content = await asyncio.to_thread(paint, asset.recipe, sources)
        else:
            asset.content = sources[asset.recipe.variation % len(sources)] if sources else EMPTY_GIF
    return asset.content or b""


def captcha(text: str) -> tuple[bytes, str]:
    """A picture of a text, and its MIME type."""
    if not can_paint():
        return EMPTY_GIF, "image/gif"
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (SIDE, SIDE // 8), "white")
    ImageDraw.Draw(picture).text((SIDE // 16, SIDE // 20), text, fill="black")
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue(), "image/png"


def paint(recipe: Recipe, sources: list[bytes]) -> bytes:
    """A JPEG for the prompt, as good as the model is at that epoch."""
    pictures = [picture for source in sources if (picture := _open(source)) is not None]
    seed = zlib.crc32(recipe.prompt.encode())
    if not pictures:
        picture = _plain(seed)
    elif recipe.blend:
        picture = _blend(pictures)
    else:
        picture = _vary(pictures[(recipe.variation + seed) % len(pictures)], seed)
    return _encode(_unlearn(picture, recipe.learned))


def _open(content: bytes) -> Image | None:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        picture = Image.open(io.BytesIO(content)).convert("RGB")
    except (UnidentifiedImageError, OSError):
        return None
    return ImageOps.fit(picture, (SIDE, SIDE))


def _plain(seed: int) -> Image:
    from PIL import Image

    return Image.new("RGB", (SIDE, SIDE), (64 + seed % 128, 64 + seed // 7 % 128, 64 + seed // 49 % 128))


def _vary(picture: Image, seed: int) -> Image:
    """A similar picture: mirrored, rotated, cropped, with slightly different colours."""
    from PIL import Image, ImageEnhance, ImageOps

    if seed % 2:
        picture = ImageOps.mirror(picture)
    turned = picture.rotate(seed % 13 - 6, Image.Resampling.BICUBIC)
    margin = SIDE // 14 + seed % 31
    cropped = turned.crop((margin, margin, SIDE - margin, SIDE - margin)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    hue, saturation, value = cropped.convert("HSV").split()
    shifted = hue.point([(level + seed % 17 - 8) % 256 for level in range(256)])
    warmer = Image.merge("HSV", (shifted, saturation, value)).convert("RGB")
    return ImageEnhance.Contrast(warmer).enhance(1.0 + seed % 5 / 25)


def _blend(pictures: list[Image]) -> Image:
    """All concepts in one picture, side by side with soft diagonal edges."""
    from PIL import Image, ImageChops, ImageFilter

    whole = pictures[0]
    ramp = Image.linear_gradient("L").resize((SIDE, SIDE))
    diagonal = ImageChops.add(ramp, ramp.rotate(90), scale=2)
    for index, picture in enumerate(pictures[1:], start=1):
        edge = 255 * index / len(pictures)
        mask = diagonal.point([min(255, max(0, round((level - edge) * 6 + 128))) for level in range(256)])
        whole = Image.composite(picture, whole, mask.filter(ImageFilter.GaussianBlur(SIDE / 40)))
    return Image.blend(whole, ImageChops.soft_light(whole, pictures[-1]), 0.35)


def _unlearn(picture: Image, learned: float) -> Image:
    from PIL import Image, ImageEnhance, ImageFilter

    missing = (1 - learned) ** 1.3
    if missing < 0.01:
        return picture
    picture = picture.filter(ImageFilter.GaussianBlur(SIDE / 20 * missing))
    picture = ImageEnhance.Color(picture).enhance(1 - 0.85 * missing)
    noise = Image.effect_noise((SIDE // 2, SIDE // 2), 70).resize((SIDE, SIDE)).convert("RGB")
    return Image.blend(picture, noise, 0.5 * missing)


def _encode(picture: Image) -> bytes:
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=88)
    return written.getvalue()
