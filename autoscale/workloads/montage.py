"""Montage: mosaics of the sky from overlapping images.

Profile: the distributions of the workflow generator of Bharathi et al., "Characterization of
Scientific Workflows", WORKS 2008 (class ``Montage`` of github.com/pegasus-isi/WorkflowGenerator,
read November 2026), for the 2MASS survey, where a mosaic of one square degree has 50 images.
Standard deviations are roots of the variances given there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from autoscale.workloads.assembly import Assembly, Spread, Streams, nearest_size

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.workflow import Workflow

IMAGES_PER_DEGREE2 = 50
"""Images in a mosaic of one square degree."""

# Runtimes in seconds: of one task, or per image, per difference or per (square) degree.
PROJECT_S = Spread(13.59, 0.245)
DIFF_S = Spread(10.59, 0.1)
CONCAT_PER_DIFF_S = Spread(0.08)
MODEL_PER_DIFF_S = Spread(0.13, 0.1)
BACKGROUND_S = Spread(10.74, 0.173)
TABLE_PER_IMAGE_S = Spread(0.37, 0.1)
ADD_PER_DEGREE2_S = Spread(30.11, 0.224)
SHRINK_PER_DEGREE_S = Spread(12.21)
JPEG_BYTES_PER_S = Spread(549291.0, 62719.0)

# Sizes in bytes: of one file, or per image or per difference.
HEADER_BYTES = 304
IMAGE_BYTES = 4222080
PROJECTED_BYTES = Spread(4162432.0, 10666.3)
FIT_BYTES = Spread(273.74, 9.948)
DIFF_BYTES = Spread(284097.2, 147590.6)
FITS_LIST_PER_DIFF_BYTES = 27.2617
FITS_TABLE_PER_DIFF_BYTES = 209.953
IMAGE_TABLE_PER_IMAGE_BYTES = 167.556
CORRECTIONS_PER_IMAGE_BYTES = 53.1778
CORRECTED_TABLE_PER_IMAGE_BYTES = Spread(352.24, 48.06)
MOSAIC_PER_DEGREE_BYTES = 173465280.0
SHRINK_FACTOR = 24.99


@dataclass(frozen=True, slots=True)
class MontageShape:
    """How many images and how many overlapping pairs of them."""

    images: int
    diffs: int


def montage_shape(n_tasks: int) -> MontageShape | None:
    """Return the shape with exactly ``n_tasks``, or None where there is none.

    ``n = 2 P + D + 6`` tasks for P images and D pairs, about four pairs an image, at least
    enough to connect all images (``P - 1``) and at most every pair.
    """
    rest = n_tasks - 6
    images = max(2, round(rest / 6))
    while math.comb(images, 2) < rest - 2 * images:
        images += 1
    diffs = rest - 2 * images
    return MontageShape(images, diffs) if diffs >= images - 1 else None


def montage(n_tasks: int, rng: np.random.Generator) -> Workflow:
    """Return a Montage workflow of 9 levels.

    P ``mProjectPP`` -> D ``mDiffFit``, one for each pair of overlapping images -> ``mConcatFit``
    -> ``mBgModel`` -> P ``mBackground``, each also a child of its ``mProjectPP`` -> ``mImgTbl``
    -> ``mAdd`` -> ``mShrink`` -> ``mJPEG``, with P about a sixth of the tasks and D = n - 6 - 2P
    about two thirds. Exactly ``n_tasks`` from 17 on; smaller valid sizes are 11, 14 and 15.
    Edges: 3 D + 3 P + 4.

    The images lie row by row on a square and overlap with their neighbours; the work of the
    single tasks and the size of the mosaic grow with the number of images, as the profile says.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    rng
        Source of randomness.
    """
    shape = nearest_size(n_tasks, montage_shape)
    streams = Streams.of(rng)
    asm = Assembly(f"montage-{2 * shape.images + shape.diffs + 6}")
    header = asm.file("region.hdr", HEADER_BYTES)
    projected, table = _project_and_fit(asm, shape, header, streams)
    corrected = _background(asm, shape, projected, table, streams)
    _mosaic(asm, shape, header, corrected, streams)
    return asm.build()


def overlapping_pairs(
    images: int, diffs: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Return ``diffs`` distinct pairs of images, nearest neighbours on a square grid first.

    Neighbours at one distance come all together, but for the last distance, of which ``rng``
    chooses some. The images in their order are always a chain, so all are connected.
    """
    side = math.ceil(math.sqrt(images))
    near = tuple(dict.fromkeys(d for d in (1, side, side + 1, side - 1) if 0 < d < images))
    far = (d for d in range(2, images) if d not in near)  # wanted for tiny mosaics alone
    first: list[IntArray] = []
    second: list[IntArray] = []
    missing = diffs
    for offset in chain(near, far):
        left = np.arange(images - offset)
        if left.size > missing:
            left = np.sort(rng.choice(left, missing, replace=False))
        first.append(left)
        second.append(left + offset)
        missing -= left.size
        if missing == 0:
            break
    return np.concatenate(first), np.concatenate(second)


def _project_and_fit(
    asm: Assembly, shape: MontageShape, header: IntArray, streams: Streams
) -> tuple[list[IntArray], IntArray]:
    images, diffs = shape.images, shape.diffs
    project = asm.tasks("mProjectPP", PROJECT_S.draw(streams.runtime, images))
    asm.reads(project, header)
    asm.reads(project, asm.files("2mass", ".fits", np.full(images, float(IMAGE_BYTES))))
    size: FloatArray = PROJECTED_BYTES.draw(streams.size, images)
    projected = [asm.files("p2mass", end, size) for end in (".fits", "_area.fits")]
    diff = asm.tasks("mDiffFit", DIFF_S.draw(streams.runtime, diffs))
    asm.reads(diff, header)
    pair = overlapping_pairs(images, diffs, streams.structure)
    for image_files in projected:
        asm.writes(project, image_files)
        for side in pair:
            asm.reads(diff, image_files[side])
    fits = asm.files("fit", ".txt", FIT_BYTES.draw(streams.size, diffs))
    asm.writes(diff, fits)
    asm.writes(diff, asm.files("diff", ".fits", DIFF_BYTES.draw(streams.size, diffs)))

    concat = asm.tasks("mConcatFit", diffs * CONCAT_PER_DIFF_S.draw(streams.runtime, 1))
    asm.reads(concat, asm.file("fits_list.tbl", diffs * FITS_LIST_PER_DIFF_BYTES))
    asm.reads(concat, fits)
    table = asm.file("fits.tbl", diffs * FITS_TABLE_PER_DIFF_BYTES)
    asm.writes(concat, table)
    return projected, table


def _background(
    asm: Assembly,
    shape: MontageShape,
    projected: list[IntArray],
    table: IntArray,
    streams: Streams,
) -> list[IntArray]:
    images = shape.images
    model = asm.tasks("mBgModel", shape.diffs * MODEL_PER_DIFF_S.draw(streams.runtime, 1))
    asm.reads(model, table)
    asm.reads(model, asm.file("pimages.tbl", images * IMAGE_TABLE_PER_IMAGE_BYTES))
    corrections = asm.file("corrections.tbl", images * CORRECTIONS_PER_IMAGE_BYTES)
    asm.writes(model, corrections)

    background = asm.tasks("mBackground", BACKGROUND_S.draw(streams.runtime, images))
    asm.reads(background, corrections)
    size: FloatArray = PROJECTED_BYTES.draw(streams.size, images)
    corrected = [asm.files("c2mass", end, size) for end in (".fits", "_area.fits")]
    for before, after in zip(projected, corrected, strict=True):
        asm.reads(background, before)
        asm.writes(background, after)
    return corrected


def _mosaic(
    asm: Assembly,
    shape: MontageShape,
    header: IntArray,
    corrected: list[IntArray],
    streams: Streams,
) -> None:
    images = shape.images
    degree = math.sqrt(images / IMAGES_PER_DEGREE2)
    table = asm.tasks("mImgTbl", images * TABLE_PER_IMAGE_S.draw(streams.runtime, 1))
    for image_files in corrected:
        asm.reads(table, image_files)
    asm.reads(table, asm.file("cimages.tbl", images * IMAGE_TABLE_PER_IMAGE_BYTES))
    listing = asm.file(
        "newcimages.tbl", images * float(CORRECTED_TABLE_PER_IMAGE_BYTES.draw(streams.size, 1)[0])
    )
    asm.writes(table, listing)

    add = asm.tasks("mAdd", degree**2 * ADD_PER_DEGREE2_S.draw(streams.runtime, 1))
    asm.reads(add, header)
    asm.reads(add, listing)
    mosaic_bytes = MOSAIC_PER_DEGREE_BYTES * degree * streams.size.uniform(0.9, 1.1)
    shrink = asm.tasks("mShrink", degree * SHRINK_PER_DEGREE_S.draw(streams.runtime, 1))
    for name in ("mosaic.fits", "mosaic_area.fits"):
        part = asm.file(name, mosaic_bytes)
        asm.writes(add, part)
        asm.reads(shrink, part)
    small = asm.file("shrunken.fits", mosaic_bytes / SHRINK_FACTOR)
    asm.writes(shrink, small)

    jpeg_bytes = mosaic_bytes / SHRINK_FACTOR / 4 * streams.size.uniform(0.75, 1.25)
    jpeg = asm.tasks("mJPEG", jpeg_bytes / JPEG_BYTES_PER_S.draw(streams.runtime, 1))
    asm.reads(jpeg, small)
    asm.writes(jpeg, asm.file("shrunken.jpg", jpeg_bytes))
