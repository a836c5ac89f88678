"""The structures of a standard adult's head and neck, painted one over the other; nothing comes in, STRUCTURES goes out.

Coordinates are millimetres in the head: x to the patient's left, y backwards, z upwards, origin in the middle of the
nasopharynx (height of the occipital condyles). A structure is a stack of ellipses: each row is
(z, centre x, centre y, radius along its first axis, radius along its second, degrees from x to the first axis).
Later structures cover earlier ones. A paired structure stands for the left side and is mirrored to the right.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Structure:
    """`layers` are (tissue, inset mm) from the outside in; `y_max` cuts the shape off behind (a horseshoe's open end)."""

    name: str
    layers: tuple
    rows: tuple
    paired: bool = False
    power: float = 2.0
    y_max: float | None = None
    jitter: float = 1.0  # standard deviation of its own displacement, mm
    chance: float = 1.0  # probability that a side has it
    cap: float = 3.0  # length over which it rounds off at both ends, mm


def _bone(cortex: float = 1.6, inside: str = "marrow") -> tuple:
    return (("cortex", 0.0), (inside, cortex))


def _s(name, layers, *rows, **options) -> Structure:
    if isinstance(layers, str):
        layers = ((layers, 0.0),)
    return Structure(name, layers, rows, **options)


_OUTLINE = (
    (-135, 0, 22, 84, 58, 0), (-118, 0, 18, 66, 58, 0), (-100, 0, 13, 59, 58, 0), (-82, 0, 8, 58, 62, 0), (-62, 0, 2, 63, 72, 0),
    (-45, 0, 2, 68, 80, 0), (-22, 0, 9, 71, 88, 0), (0, 0, 14, 74, 92, 0), (30, 0, 15, 77, 98, 0), (60, 0, 14, 76, 98, 0),
    (80, 0, 15, 72, 92, 0), (100, 0, 16, 62, 80, 0),
)

OUTER = (
    _s("nose", "skin", (-16, 0, -72, 12, 16, 0), (-8, 0, -74, 17, 26, 0), (2, 0, -74, 17, 28, 0), (16, 0, -72, 14, 24, 0), (32, 0, -70, 11, 18, 0),
       (42, 0, -68, 9, 14, 0), power=1.7, jitter=0.0),
    _s("pinna", (("skin", 0.0), ("cartilage", 1.3)), (-18, 77, 18, 3, 6, 0), (-5, 79, 22, 3.4, 13, -18), (12, 81, 25, 3.2, 17, -24),
       (30, 81, 25, 3, 13, -26), (40, 79, 24, 2.5, 6, -20), paired=True, jitter=1.5),
    _s("outline", (("skin", 0.0), ("fat", 2.0)), *_OUTLINE, power=2.25, jitter=0.0),
    # Covers the skin between nose and cheek.
    _s("nose core", (("fat", 0.0), ("cartilage", 1.6), ("fat", 3.2)), (-15, 0, -72, 10, 14, 0), (-8, 0, -74, 15, 24, 0), (2, 0, -74, 15, 26, 0), (16, 0, -72, 12, 22, 0),
       (32, 0, -70, 9, 16, 0), (41, 0, -68, 7, 12, 0), power=1.7, jitter=0.0),
)

NECK = (
    # The neck's muscular collar behind, thick in the neck and gone at the skull base.
    _s("trapezius", "muscle", (-135, 36, 62, 34, 9, -28), (-100, 27, 60, 25, 5, -24), (-70, 20, 68, 20, 4, -16), (-40, 13, 82, 13, 3, -10),
       (-24, 9, 92, 8, 2, 0), paired=True),
    _s("splenius", "muscle", (-130, 19, 56, 15, 6, -20), (-80, 22, 59, 18, 5, -28), (-45, 29, 67, 20, 5, -35), (-18, 43, 62, 13, 5, -48), paired=True),
    _s("semispinalis", "muscle", (-130, 12, 52, 9, 8, 0), (-80, 13, 57, 12, 8, 0), (-45, 15, 69, 13, 10, 8), (-16, 16, 80, 14, 10, 10), paired=True),
    _s("suboccipital", "muscle", (-60, 16, 50, 12, 8, -10), (-35, 20, 52, 15, 10, -20), (-12, 22, 54, 16, 10, -25), paired=True),
    _s("levator scapulae", "muscle", (-135, 45, 48, 12, 8, -30), (-90, 38, 42, 8, 10, -25), (-40, 36, 38, 6, 8, -20), (-22, 31, 34, 4, 5, 0), paired=True),
    _s("scalenes", "muscle", (-135, 36, 28, 10, 10, 0), (-90, 27, 26, 8, 8, 0), (-50, 23, 24, 4, 5, 0), paired=True),
    _s("sternocleidomastoid", "muscle", (-135, 22, -22, 12, 5, 15), (-105, 36, -6, 14, 5, 38), (-75, 46, 12, 14, 5.5, 58), (-45, 53, 27, 14, 6.5, 70),
       (-18, 56, 38, 11, 6, 68), (-6, 56, 42, 7, 4, 70), paired=True),
    _s("longus colli", "muscle", (-135, 9, 17, 7, 4, 0), (-70, 9, 14, 7, 4, 5), (-30, 9, 13, 9, 5, 8), (-5, 10, 13, 11, 6, 10), (10, 9, 13, 9, 4, 0), paired=True, jitter=0.6),
    _s("strap muscles", "muscle", (-135, 12, -32, 11, 3, -8), (-100, 12, -32, 11, 3, -10), (-72, 12, -38, 9, 3, -10), paired=True),
    _s("thyroid gland", "thyroid", (-134, 17, -10, 6, 9, 20), (-118, 19, -8, 7, 11, 20), (-98, 20, -6, 4, 7, 15), paired=True, cap=6.0),
    _s("digastric", "muscle", (-58, 34, -6, 4, 6, 40), (-35, 44, 14, 4, 7, 55), (-14, 51, 26, 4, 7, 50), paired=True),
    _s("submandibular gland", "gland", (-78, 33, -20, 7, 9, 30), (-65, 38, -17, 10, 15, 25), (-48, 40, -10, 8, 11, 20), paired=True, cap=6.0, jitter=1.5),
)

SPINE = (
    _s("transverse processes", _bone(1.2), (-134, 21, 31, 11, 5, 20), (-44, 19, 31, 9, 5, 20), paired=True),
    _s("vertebrae", (("cortex", 0.0), ("marrow", 1.2)), (-135, 0, 29, 13, 9.5, 0), (-70, 0, 27, 12, 8.5, 0), (-28, 0, 27, 11, 8, 0), power=2.6, jitter=0.5),
    _s("laminae", _bone(1.4), (-134, 0, 55, 20, 12, 0), (-60, 0, 56, 20, 11, 0), (-28, 0, 60, 19, 11, 0), power=1.4),
    _s("spinous processes", _bone(1.4), (-134, 0, 72, 3.5, 12, 0), (-60, 0, 73, 4, 10, 0), (-32, 0, 76, 7, 7, 0)),
    _s("atlas", _bone(1.5), (-16, 22, 27, 12, 9, 15), (-9, 24, 28, 17, 10, 10), (-3, 22, 26, 11, 8, 15), paired=True, jitter=0.5),
    _s("atlas arches", _bone(1.2), (-15, 0, 44, 25, 26, 0), (-7, 0, 44, 26, 27, 0)),
    _s("canal fat", (("csf", 0.0),), (-135, 0, 45, 11, 7.5, 0), (-60, 0, 45, 11.5, 8, 0), (-26, 0, 47, 13, 10, 0), (-2, 0, 49, 15, 14, 0), jitter=0.3),
    _s("dens", _bone(1.5), (-32, 0, 28, 8, 7, 0), (-14, 0, 29, 5.5, 6, 0), (0, 0, 28, 4.5, 5, 0), jitter=0.4),
    _s("atlas front arch", _bone(1.2), (-14, 0, 20.5, 8, 3, 0), (-5, 0, 20.5, 8, 3, 0), jitter=0.3),
    _s("cord", "white", (-135, 0, 45, 6.2, 4.2, 0), (-60, 0, 45, 6.8, 4.6, 0), (-20, 0, 46, 6.8, 5.4, 0), (-6, 0, 47, 8, 7, 0), jitter=0.3),
    _s("vertebral artery", "artery", (-134, 15, 28, 2, 2, 0), (-34, 16, 29, 2.2, 2.2, 0), (-20, 24, 31, 2.2, 2.2, 0), (-6, 17, 40, 2.6, 2.2, 0),
       (6, 7, 34, 2, 2, 0), (16, 2, 29, 1.8, 1.8, 0), paired=True, jitter=0.4),
)

SKULL = (
    _s("vault", (("cortex", 0.0), ("marrow", 1.6), ("cortex", 4.6), ("csf", 6.2), ("brain", 8.2)),
       (-20, 0, 74, 20, 14, 0), (-12, 0, 70, 42, 30, 0), (0, 0, 63, 55, 40, 0), (12, 0, 50, 63, 53, 0), (22, 0, 40, 68, 65, 0), (32, 0, 26, 70, 80, 0),
       (46, 0, 16, 71, 91, 0), (70, 0, 16, 69, 90, 0), (86, 0, 17, 63, 82, 0), (100, 0, 18, 52, 68, 0), power=2.1, jitter=0.4),
    _s("cisterns", "csf", (-4, 0, 44, 15, 11, 0), (8, 0, 38, 15, 13, 0), (22, 0, 34, 19, 15, 0), (36, 0, 22, 15, 13, 0), (44, 0, 20, 12, 12, 0), jitter=0.4),
    _s("tentorium", "csf", (16, 36, 42, 30, 2.0, 42), (34, 30, 50, 30, 1.6, 55), paired=True),
    _s("brain stem", "white", (-10, 0, 47, 8, 7, 0), (2, 0, 43, 9, 8, 0), (12, 0, 42, 14, 11, 0), (24, 0, 42, 17, 12, 0), (34, 0, 39, 15, 11, 0),
       (44, 0, 36, 16, 10, 0), jitter=0.4),
    _s("middle peduncles", "white", (12, 17, 50, 6, 10, 30), (24, 20, 52, 7, 12, 30), paired=True),
    _s("fourth ventricle", "csf", (2, 0, 53, 3, 2.5, 0), (14, 0, 55, 8, 3.5, 0), (26, 0, 55, 6, 3.5, 0), (34, 0, 51, 2, 2, 0), jitter=0.3),
    _s("vermis gap", "csf", (-14, 0, 84, 3.5, 14, 0), (2, 0, 92, 2.5, 9, 0), (20, 0, 96, 1.5, 5, 0)),
    _s("sylvian fissure", "csf", (34, 40, -4, 15, 2.6, 12), (50, 48, 4, 14, 2.5, 75), (62, 50, 8, 12, 2, 80), paired=True),
    _s("falx", "csf", (46, 0, -45, 1.5, 26, 0), (100, 0, -35, 1.5, 26, 0)),
    _s("falx behind", "csf", (40, 0, 82, 1.5, 19, 0), (100, 0, 70, 1.5, 22, 0)),
    _s("lateral ventricle", "csf", (52, 11, -8, 3, 11, -25), (64, 10, 8, 5, 24, -12), (78, 10, 12, 4.5, 30, 6), (90, 11, 14, 2, 16, 5), paired=True),
    _s("third ventricle", "csf", (44, 0, 14, 2.2, 8, 0), (60, 0, 16, 2.2, 10, 0), jitter=0.3),
    _s("basal nuclei", "grey", (52, 23, 2, 8, 14, 15), (68, 24, 8, 9, 18, 20), paired=True),
    _s("thalamus", "grey", (56, 10, 20, 8, 12, 30), (70, 10, 20, 8, 13, 30), paired=True),
    _s("basilar artery", "artery", (14, 0, 28.5, 2, 2, 0), (34, 0, 27, 2, 2, 0), jitter=0.8),
    _s("petrous bone", (("cortex", 0.0), ("marrow", 3.5)), (-4, 34, 32, 10, 7, 35), (6, 36, 27, 22, 8, 36), (14, 37, 28, 23, 8, 36), (22, 40, 30, 18, 6, 36), paired=True),
    _s("inner ear", "fluid", (11, 34, 29, 4, 1.6, 30), (17, 36, 30, 5, 1.4, 30), paired=True, cap=2.0),
    _s("mastoid", (("cortex", 0.0), ("cells", 1.5)), (-24, 51, 34, 5, 7, 0), (-10, 52, 36, 9, 12, 10), (4, 53, 38, 11, 15, 20), (18, 54, 40, 9, 14, 20), (26, 55, 40, 5, 8, 20), paired=True),
    _s("mastoid fluid", "fluid", (-8, 52, 40, 5, 6, 10), (10, 53, 42, 6, 8, 20), paired=True, chance=0.25, cap=6.0, jitter=2.0),
    _s("sigmoid sinus", "vein", (-2, 36, 32, 4, 4, 0), (6, 41, 46, 4, 4, 0), (22, 49, 54, 4, 5.5, 20), (30, 48, 62, 4, 6, 25), paired=True),
    _s("occipital condyle", _bone(1.4), (-6, 15, 30, 7, 8, 25), (2, 14, 29, 9, 8, 25), (7, 13, 26, 8, 6, 20), paired=True, jitter=0.5),
    _s("clivus", _bone(1.4), (-5, 0, 23, 7, 3.5, 0), (3, 0, 22, 14, 5, 0), (12, 0, 20, 17, 7, 0), (24, 0, 17, 17, 9, 0), (34, 0, 14, 14, 8, 0), (38, 0, 20, 10, 4, 0), jitter=0.6),
)

FACE = (
    _s("orbit", "fat", (18, 31, -46, 11, 14, -20), (26, 30, -46, 17, 24, -18), (36, 30, -46, 17, 25, -18), (48, 30, -46, 12, 17, -15), paired=True, jitter=0.5),
    _s("medial rectus", "muscle", (28, 21, -45, 1.8, 15, -14), (38, 21, -45, 1.8, 14, -14), paired=True),
    _s("lateral rectus", "muscle", (28, 40, -40, 1.8, 16, -34), (38, 40, -40, 1.8, 14, -34), paired=True),
    _s("inferior rectus", "muscle", (20, 30, -48, 4, 12, -20), (26, 29, -46, 4, 10, -20), paired=True),
    _s("optic nerve", "white", (31, 25, -38, 2, 14, -20), (36, 25, -38, 2, 14, -20), paired=True),
    _s("globe", (("cartilage", 0.0), ("vitreous", 1.1)), (22, 33, -63, 6, 6, 0), (27, 33, -63, 10.5, 10.5, 0), (33, 33, -64, 12, 12, 0), (39, 33, -63, 10.5, 10.5, 0), (44, 33, -63, 6, 6, 0), paired=True, jitter=0.5),
    _s("lens", "lens", (30, 33, -72.5, 4.5, 1.8, 0), (36, 33, -72.5, 4.5, 1.8, 0), paired=True, jitter=0.4),
    _s("zygoma", _bone(1.6), (-12, 48, -48, 7, 4, 40), (-2, 53, -48, 11, 5, 48), (6, 55, -42, 13, 4, 55), (14, 52, -50, 8, 4, 50), (26, 48, -50, 4, 5, 20), paired=True),
    _s("zygomatic arch", _bone(1.2), (-2, 66, -20, 2.2, 17, -6), (5, 66, -18, 2.4, 20, -6), paired=True),
    _s("temporalis", "muscle", (-12, 51, -25, 5, 9, -5), (4, 55, -22, 9, 17, -5), (20, 60, -16, 8, 22, 8), (40, 70, -4, 3.5, 24, 4), (62, 71, 4, 2.2, 24, 0), paired=True),
    _s("masseter", "muscle", (-60, 50, -24, 6, 9, -10), (-45, 55, -22, 8, 16, -10), (-25, 58, -22, 8.5, 19, -10), (-5, 60, -25, 7, 17, -12), (2, 60, -30, 5, 10, -12), paired=True, power=2.4),
    _s("parotid", "gland", (-52, 54, 6, 7, 9, 0), (-38, 58, 8, 11, 16, -15), (-20, 60, 6, 12, 20, -18), (-4, 63, 4, 9, 18, -15), (4, 65, 2, 5, 10, -10), paired=True, jitter=1.5, power=2.3),
    _s("retromandibular vein", "vein", (-45, 51, 4, 2.2, 2.2, 0), (-10, 53, 4, 2.2, 2.2, 0), paired=True, jitter=1.5),
    _s("maxilla", _bone(1.4), (-34, 0, -50, 29, 26, 0), (-20, 0, -48, 31, 31, 0), (-10, 0, -44, 35, 33, 0), (4, 0, -42, 38, 32, 0), (16, 0, -44, 33, 26, 0), (22, 0, -44, 24, 22, 0), y_max=-22, power=2.3, jitter=0.5),
    _s("teeth", (("cortex", 0.0), ("marrow", 6.0)), (-44, 0, -48, 27, 27, 0), (-22, 0, -48, 27, 27, 0), y_max=-30, jitter=0.5),
    _s("mandible", _bone(2.0), (-74, 0, -44, 26, 19, 0), (-66, 0, -38, 38, 34, 0), (-50, 0, -32, 46, 43, 0), (-40, 0, -30, 47, 44, 0), y_max=-20, power=2.2, jitter=0.5),
    _s("ramus", _bone(1.6), (-56, 45, -20, 4.5, 13, -8), (-35, 48, -14, 4, 15, -12), (-12, 50, -12, 3.6, 14, -14), (-4, 50, -10, 3.2, 12, -14), paired=True, power=2.3),
    _s("condyle", _bone(1.4), (-6, 50, -3, 4, 5, 0), (3, 50, 2, 8, 4.5, -15), (9, 50, 3, 9, 4, -15), paired=True),
    _s("coronoid", _bone(1.2), (-6, 50, -24, 2.5, 6, -10), (4, 51, -27, 2, 4, -10), paired=True),
    _s("mouth floor", "fat", (-70, 0, -38, 29, 27, 0), (-60, 0, -34, 37, 34, 0), (-40, 0, -36, 38, 32, 0), (-24, 0, -34, 22, 24, 0), y_max=-2, power=2.2),
    _s("tongue", "tongue", (-66, 0, -30, 14, 17, 0), (-52, 0, -32, 23, 27, 0), (-36, 0, -34, 25, 30, 0), (-21, 0, -34, 20, 22, 0), power=2.3, cap=6.0),
    _s("tongue septum", "fat", (-60, 0, -30, 1, 16, 0), (-40, 0, -32, 1, 18, 0), jitter=0.3),
    _s("mylohyoid", "muscle", (-68, 24, -32, 2.5, 17, 30), (-46, 31, -28, 2.5, 18, 22), paired=True),
    _s("medial pterygoid", "muscle", (-48, 41, -14, 5, 9, -18), (-28, 37, -13, 7, 14, -22), (-8, 29, -15, 6.5, 13, -28), (2, 25, -16, 4, 9, -28), paired=True, power=2.2),
    _s("lateral pterygoid", "muscle", (-8, 36, -12, 9, 6, 35), (0, 36, -12, 15, 8.5, 35), (10, 36, -12, 15, 8, 38), (18, 34, -14, 10, 6, 35), paired=True, power=2.3),
    _s("pterygoid plates", _bone(1.0), (-14, 18, -19, 2.2, 7, -20), (0, 19, -20, 2.6, 9, -22), (12, 18, -18, 5, 8, -20), (22, 18, -12, 8, 8, -10), paired=True, jitter=0.5),
    _s("sphenoid", _bone(1.2), (15, 0, -2, 16, 10, 0), (24, 0, -2, 17, 15, 0), (34, 0, -2, 14, 15, 0), (40, 0, -4, 12, 12, 0), jitter=0.6),
    _s("greater wing", _bone(1.2), (16, 30, -10, 16, 5, -18), (26, 36, -24, 16, 4, -35), (36, 40, -30, 16, 4, -35), paired=True),
    _s("maxillary sinus", (("mucosa", 0.0), ("air", 1.3)), (-14, 25, -44, 5, 8, 0), (-6, 25, -44, 10, 13, 12), (4, 26, -43, 13, 16, 12), (13, 25, -44, 11, 13, 10), (20, 24, -46, 6, 8, 0), paired=True, y_max=-24, power=2.5, jitter=1.2),
    _s("maxillary cyst", "fluid", (-12, 24, -34, 6, 7, 0), (2, 26, -32, 8, 7, 0), paired=True, chance=0.2, y_max=-25.5, cap=6.0, jitter=2.0),
    _s("sphenoid sinus", (("mucosa", 0.0), ("air", 1.0)), (18, 6, -4, 4.5, 7, 0), (26, 7, -3, 6, 10, 0), (35, 6, -3, 4.5, 9, 0), paired=True, power=2.6, jitter=0.8),
    _s("sphenoid fluid", "fluid", (20, 7, 0, 4.5, 6, 0), (28, 7, 1, 5, 6, 0), paired=True, chance=0.1),
    _s("ethmoid", (("cortex", 0.0), ("mucosa", 0.8), ("air", 2.2)), (20, 8, -42, 7, 22, 0), (38, 8, -40, 6.5, 22, 0), paired=True, power=2.6),
    _s("ethmoid walls", "mucosa", (20, 8, -32, 6, 1.4, 10), (38, 8, -34, 6, 1.4, 10), paired=True, jitter=2.0),
    _s("ethmoid walls 2", "mucosa", (20, 8, -48, 6, 1.4, -10), (38, 8, -48, 6, 1.4, -10), paired=True, jitter=2.0),
    _s("cavernous sinus", "vein", (24, 18, 6, 5, 9, -12), (36, 17, 6, 5, 8, -12), paired=True),
    _s("pituitary", "turbinate", (35, 0, 10, 6, 4, 0), (40, 0, 10, 5, 4, 0), jitter=0.5),
)

# The airway and what lines it: mucosa first, air last, so that the tumour knows the lumen's wall.
AIRWAY = (
    _s("nasal mucosa", "mucosa", (-13, 0, -44, 17, 32, 0), (-4, 0, -46, 17, 36, 0), (10, 0, -44, 14, 34, 0), (22, 0, -42, 8, 26, 0), power=2.6, jitter=0.4),
    _s("hard palate", _bone(1.0), (-19, 0, -44, 22, 27, 0), (-14, 0, -44, 20, 27, 0), y_max=-20, cap=1.5),
    _s("soft palate", (("mucosa", 0.0), ("muscle", 1.8)), (-32, 0, -2, 7, 4, 0), (-26, 0, -6, 10, 5, 0), (-16, 0, -12, 15, 7, 0), (-11, 0, -15, 13, 5, 0), jitter=0.6),
    _s("levator palatini", "muscle", (-14, 15, -4, 3, 4, 0), (-2, 19, 1, 3, 4.5, 20), (8, 22, 6, 2.5, 3.5, 20), paired=True, jitter=0.5),
    _s("tensor palatini", "muscle", (-12, 21, -12, 1.8, 5, -15), (6, 25, -5, 1.8, 6, -20), paired=True, jitter=0.5),
    _s("styloid muscles", "muscle", (-44, 26, -2, 4, 6, 30), (-20, 33, 5, 4, 7, 40), (-2, 39, 14, 2.5, 4, 40), paired=True, jitter=1.0),
    _s("buccinator", "muscle", (-40, 41, -40, 2.4, 16, 12), (-8, 43, -42, 2.2, 14, 14), paired=True),
    _s("zygomatic muscles", "muscle", (-40, 45, -58, 3, 9, -42), (-14, 48, -56, 3, 9, -42), paired=True, jitter=1.5),
    _s("constrictor", "muscle", (-130, 0, 2, 16, 11, 0), (-80, 0, -2, 20, 13, 0), (-60, 0, 2, 19, 10, 0), (-30, 0, 2, 17, 11, 0), (-10, 0, 2, 18, 10.5, 0), power=2.4, jitter=0.5),
    _s("nasopharyngeal mucosa", "mucosa", (-26, 0, 2, 15, 9, 0), (-12, 0, 1, 17, 10.5, 0), (0, 0, 0, 18, 12.5, 0), (8, 0, 0, 17, 13, 0), (14, 0, 0, 14, 11.5, 0), (18, 0, 0, 10, 8, 0), power=2.7, jitter=0.5, cap=4.0),
    _s("adenoid", "mucosa", (-6, 0, 8, 10, 4, 0), (6, 0, 7, 13, 6, 0), (14, 0, 5, 11, 6, 0), jitter=1.0, chance=0.6),
    _s("oropharyngeal mucosa", "mucosa", (-72, 0, -2, 16, 8, 0), (-50, 0, 2, 15, 8, 0), (-24, 0, 2, 14, 8, 0), power=2.4, jitter=0.5),
    _s("tonsil", "mucosa", (-54, 16, -3, 4, 7, 10), (-42, 17, -4, 6, 9, 10), (-28, 16, -4, 4, 6, 10), paired=True, jitter=1.2, cap=6.0),
    _s("choana", (("air", 0.0),), (-9, 7, -14, 5, 12, 0), (0, 7, -14, 5.5, 14, 0), (9, 6.5, -13, 4.5, 12, 0), (14, 6, -12, 3, 8, 0), paired=True, power=2.6, jitter=0.6),
    _s("nasal cavity", (("air", 0.0),), (-12, 8, -46, 5, 20, 0), (-4, 8, -52, 7, 28, 0), (8, 7, -52, 6, 26, 0), (20, 4.5, -48, 3, 20, 0), paired=True, power=2.6, jitter=0.6),
    _s("nostril", "air", (-10, 6, -86, 3.5, 7, 8), (-3, 6, -82, 3.5, 7, 8), paired=True, jitter=0.4),
    _s("inferior turbinate", (("turbinate", 0.0), ("cortex", 3.2)), (-10, 9, -42, 3.5, 16, 5), (-4, 9.5, -44, 4.6, 21, 5), (3, 10, -46, 3.5, 16, 5), paired=True, jitter=0.9),
    _s("middle turbinate", (("turbinate", 0.0), ("cortex", 2.2)), (4, 7.5, -38, 2.6, 12, 3), (11, 7.5, -40, 3.2, 15, 3), (18, 6.5, -42, 2.4, 11, 3), paired=True, jitter=0.7),
    _s("septum", (("mucosa", 0.0), ("cartilage", 0.9)), (-12, 0, -46, 1.8, 31, 0), (22, 0, -44, 1.8, 30, 0), jitter=0.8),
    _s("lumen", (("air", 0.0),), (-24, 0, 0, 10, 3.5, 0), (-14, 0, -1, 12, 4.5, 0), (-4, 0, -3.5, 13, 6, 0), (4, 0, -4.5, 13, 6, 0), (11, 0, -5, 11, 4.5, 0), (15, 0, -5, 8, 3, 0), power=2.6, jitter=0.4),
    _s("fossa of Rosenmueller", (("air", 0.0),), (-8, 12.5, 3, 2, 5, -50), (0, 13.5, 3, 2.2, 7, -52), (8, 13, 2.5, 2, 6, -52), paired=True, jitter=0.8, chance=0.9),
    _s("torus", "mucosa", (-8, 14, -4, 4, 4, 0), (0, 14.5, -4, 5, 4.5, 0), (7, 14, -4, 4, 4, 0), paired=True, jitter=0.8),
    _s("oropharynx", "air", (-72, 0, -6, 13, 5, 0), (-50, 0, 1, 10, 4.5, 0), (-36, 0, 1, 9, 4.5, 0), (-22, 0, 1, 10, 3.5, 0), power=2.3, jitter=0.5),
    _s("epiglottis", (("mucosa", 0.0), ("cartilage", 1.0)), (-82, 0, -8, 9, 2.5, 0), (-66, 0, -10, 11, 2, 0)),
    _s("hyoid", _bone(1.0), (-80, 0, -26, 17, 4, 0), (-74, 0, -26, 18, 4, 0)),
    _s("larynx", (("cartilage", 0.0), ("muscle", 2.5), ("mucosa", 6.0), ("air", 8.0)), (-112, 0, -16, 15, 15, 0), (-98, 0, -17, 19, 17, 0), (-84, 0, -16, 21, 16, 0)),
    _s("trachea", (("cartilage", 0.0), ("mucosa", 1.5), ("air", 2.6)), (-135, 0, -12, 10.5, 9.5, 0), (-112, 0, -14, 10.5, 10.5, 0)),
    _s("oesophagus", (("muscle", 0.0), ("mucosa", 3.0)), (-135, 2, 8, 8, 5, 0), (-110, 0, 7, 9, 5, 0)),
)

VESSELS = (
    _s("jugular vein", "vein", (-134, 30, 6, 7, 6, 20), (-90, 34, 10, 6, 5, 30), (-50, 34, 16, 5.5, 4.5, 30), (-15, 33, 21, 5, 4.5, 20), (0, 33, 25, 5, 5, 0), (6, 34, 28, 4, 4, 0), paired=True, jitter=1.8),
    _s("carotid artery", "artery", (-134, 22, 4, 4, 4, 0), (-75, 26, 6, 4.2, 4.2, 0), (-55, 26, 10, 3, 3, 0), (-15, 25, 13, 2.8, 2.8, 0), (4, 25, 15, 2.8, 2.8, 0),
       (12, 20, 13, 3, 2.8, 0), (22, 15, 10, 2.6, 2.6, 0), (34, 13, 4, 2.4, 2.8, 0), paired=True, jitter=1.0),
    _s("external carotid", "artery", (-70, 30, 0, 2.4, 2.4, 0), (-30, 44, 2, 1.9, 1.9, 0), paired=True, jitter=1.2),
    _s("styloid", "cortex", (-30, 38, 8, 1.6, 1.6, 0), (0, 40, 17, 2.0, 2.0, 0), paired=True, jitter=0.8),
    _s("retropharyngeal node", "node", (-14, 19, 9, 3, 4.5, 10), (-6, 19.5, 9, 3.6, 5.5, 10), (0, 20, 9, 2.5, 4, 10), paired=True, jitter=1.0, chance=0.35, cap=4.0),
    _s("node II", "node", (-48, 43, 14, 4.5, 6, 30), (-38, 44, 15, 6, 9, 30), (-28, 44, 16, 4, 6, 30), paired=True, jitter=2.0, chance=0.85, cap=6.0),
    _s("node II b", "node", (-42, 42, 27, 3.5, 5, 40), (-30, 43, 28, 4.5, 7, 40), paired=True, jitter=2.5, chance=0.5, cap=6.0),
    _s("node III", "node", (-88, 39, 8, 3.5, 5, 30), (-72, 40, 10, 4.5, 7, 30), paired=True, jitter=3.0, chance=0.6, cap=6.0),
    _s("node I", "node", (-68, 29, -33, 3, 4, 0), (-62, 29, -33, 4, 5, 0), paired=True, jitter=2.5, chance=0.5, cap=4.0),
    _s("node parotid", "node", (-24, 61, 2, 3, 3.5, 0), (-17, 61, 2, 3, 4, 0), paired=True, jitter=3.5, chance=0.4, cap=4.0),
)

STRUCTURES = OUTER + NECK + SPINE + SKULL + FACE + AIRWAY + VESSELS
