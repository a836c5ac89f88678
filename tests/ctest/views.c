/* Every memory layout of a volume gives the same bits: element types, Fortran and C order, gaps,
 * flipped axes, RAS, slice origins, an unaligned address. The caller's memory is never written to.
 */

#include "study.h"

static const size_t SIZES[8] = {1, 1, 2, 2, 4, 4, 4, 8};

/* Writes `value` at `at` as an element. */
static void put(unsigned char *at, uint32_t element, double value) {
    switch (element) {
    case NASOSEG_ELEMENT_UINT8: {
        const uint8_t v = (uint8_t)value;
        memcpy(at, &v, sizeof v);
        break;
    }
    case NASOSEG_ELEMENT_INT8: {
        const int8_t v = (int8_t)value;
        memcpy(at, &v, sizeof v);
        break;
    }
    case NASOSEG_ELEMENT_UINT16: {
        const uint16_t v = (uint16_t)value;
        memcpy(at, &v, sizeof v);
        break;
    }
    case NASOSEG_ELEMENT_INT16: {
        const int16_t v = (int16_t)value;
        memcpy(at, &v, sizeof v);
        break;
    }
    case NASOSEG_ELEMENT_UINT32: {
        const uint32_t v = (uint32_t)value;
        memcpy(at, &v, sizeof v);
        break;
    }
    case NASOSEG_ELEMENT_INT32: {
        const int32_t v = (int32_t)value;
        memcpy(at, &v, sizeof v);
        break;
    }
    case NASOSEG_ELEMENT_FLOAT32: {
        const float v = (float)value;
        memcpy(at, &v, sizeof v);
        break;
    }
    default: {
        const double v = value;
        memcpy(at, &v, sizeof v);
        break;
    }
    }
}

/* One memory layout of the same voxels. */
typedef struct layout {
    uint32_t element;
    /* Memory order of the axes, fastest first. */
    int order[3];
    /* Storage axes described back to front, by a negative stride. */
    bool flipped[3];
    /* Unused bytes before the first voxel, and after every row along the fastest axis. */
    size_t lead, gap;
    bool ras, origins;
} layout;

/* Segments the study in a layout. Voxels are first divided by `divisor`, to fit into 8 bits. */
static nasoseg_segmentation *segmented(const nasoseg_engine *engine, const layout *l,
                                       double divisor) {
    const size_t n[3] = {STUDY_I, STUDY_J, STUDY_K};
    const size_t item = SIZES[l->element];
    size_t step[3], bytes;
    nasoseg_study *study = NULL;
    nasoseg_detection *detection = NULL;
    nasoseg_segmentation *segmentation = NULL;
    double origins[3 * STUDY_K];
    step[l->order[0]] = item;
    step[l->order[1]] = item * n[l->order[0]] + l->gap;
    step[l->order[2]] = step[l->order[1]] * n[l->order[1]];
    bytes = l->lead + step[l->order[2]] * n[l->order[2]];
    OK(nasoseg_study_new(&study, e));
    for (int sequence = 0; sequence < 3; sequence++) {
        unsigned char *memory = (unsigned char *)malloc(bytes),
                      *copy = (unsigned char *)malloc(bytes);
        nasoseg_volume_view view = study_view(NULL);
        size_t first = l->lead;
        CHECK(memory != NULL && copy != NULL);
        memset(memory, 0xEE, bytes);
        for (int axis = 0; axis < 3; axis++) {
            view.stride[axis] = l->flipped[axis] ? -(int64_t)step[axis] : (int64_t)step[axis];
            first += l->flipped[axis] ? step[axis] * (n[axis] - 1) : 0;
        }
        for (size_t k = 0; k < n[2]; k++) {
            for (size_t j = 0; j < n[1]; j++) {
                for (size_t i = 0; i < n[0]; i++) {
                    const int64_t at = (int64_t)first + view.stride[0] * (int64_t)i +
                                       view.stride[1] * (int64_t)j + view.stride[2] * (int64_t)k;
                    put(memory + at, l->element,
                        floor((double)study_voxel(sequence, (int)i, (int)j, (int)k) / divisor));
                }
            }
        }
        view.data = memory + first;
        view.element = l->element;
        if (l->ras) {
            view.axes = NASOSEG_AXES_RAS;
            for (int column = 0; column < 4; column++) {
                view.affine[column] = -view.affine[column];
                view.affine[4 + column] = -view.affine[4 + column];
            }
        }
        if (l->origins) {
            for (size_t k = 0; k < n[2]; k++) {
                for (int row = 0; row < 3; row++) {
                    origins[3 * k + (size_t)row] =
                        view.affine[4 * row + 2] * (double)k + view.affine[4 * row + 3];
                }
            }
            view.origins = origins;
            /* The rest of the affine is not used. */
            view.affine[2] = view.affine[3] = view.affine[7] = view.affine[10] = view.affine[11] =
                view.affine[15] = 0.0;
        }
        memcpy(copy, memory, bytes);
        OK(nasoseg_study_set_volume(study, (uint32_t)sequence, &view, NULL, NULL, e));
        CHECK(memcmp(copy, memory, bytes) == 0);
        free(copy);
        free(memory);
    }
    OK(nasoseg_detect(engine, study, NULL, NULL, &detection, e));
    OK(nasoseg_segment(engine, study, detection, NULL, NULL, &segmentation, e));
    nasoseg_detection_free(detection);
    nasoseg_study_free(study);
    return segmentation;
}

static void same(const nasoseg_segmentation *a, const nasoseg_segmentation *b, size_t number) {
    nasoseg_segmentation_view x, y;
    x.struct_size = y.struct_size = sizeof x;
    OK(nasoseg_segmentation_get_view(a, &x, e));
    OK(nasoseg_segmentation_get_view(b, &y, e));
    if (memcmp(x.probability, y.probability, STUDY_VOXELS * sizeof(float)) != 0 ||
        x.volume_mm3 != y.volume_mm3) {
        fprintf(stderr, "layout %lu differs: %g against %g mm3\n", (unsigned long)number,
                y.volume_mm3, x.volume_mm3);
        exit(1);
    }
}

int main(void) {
    /* Values up to 1000 fit into 16 bits and more. */
    const layout layouts[] = {
        {NASOSEG_ELEMENT_FLOAT32, {0, 1, 2}, {false, false, false}, 0, 0, false, false},
        {NASOSEG_ELEMENT_FLOAT64, {0, 1, 2}, {false, false, false}, 0, 0, false, false},
        {NASOSEG_ELEMENT_UINT16, {0, 1, 2}, {false, false, false}, 0, 0, false, false},
        {NASOSEG_ELEMENT_INT16, {0, 1, 2}, {false, false, false}, 0, 0, false, false},
        {NASOSEG_ELEMENT_UINT32, {0, 1, 2}, {false, false, false}, 0, 0, false, false},
        {NASOSEG_ELEMENT_INT32, {0, 1, 2}, {false, false, false}, 0, 0, false, false},
        {NASOSEG_ELEMENT_INT16, {2, 1, 0}, {false, false, false}, 0, 0, false, false},
        {NASOSEG_ELEMENT_FLOAT32, {1, 2, 0}, {true, false, true}, 0, 24, false, false},
        {NASOSEG_ELEMENT_FLOAT32, {0, 1, 2}, {true, true, true}, 3, 5, false, false},
        {NASOSEG_ELEMENT_FLOAT64, {2, 0, 1}, {false, true, false}, 1, 0, false, false},
        {NASOSEG_ELEMENT_FLOAT32, {0, 1, 2}, {false, false, false}, 0, 0, true, false},
        {NASOSEG_ELEMENT_FLOAT32, {0, 1, 2}, {false, false, false}, 0, 0, false, true},
        {NASOSEG_ELEMENT_UINT16, {2, 1, 0}, {false, true, true}, 7, 2, true, true},
    };
    const layout bytes[] = {
        {NASOSEG_ELEMENT_FLOAT32, {0, 1, 2}, {false, false, false}, 0, 0, false, false},
        {NASOSEG_ELEMENT_UINT8, {0, 1, 2}, {false, false, false}, 0, 0, false, false},
        {NASOSEG_ELEMENT_INT8, {0, 1, 2}, {false, false, false}, 0, 0, false, false},
        {NASOSEG_ELEMENT_UINT8, {2, 1, 0}, {true, false, true}, 1, 3, true, false},
    };
    nasoseg_engine *engine = engine_new(1, 1);
    nasoseg_segmentation *first = segmented(engine, &layouts[0], 1.0),
                         *second = segmented(engine, &bytes[0], 8.0);
    for (size_t at = 1; at < sizeof layouts / sizeof layouts[0]; at++) {
        nasoseg_segmentation *next = segmented(engine, &layouts[at], 1.0);
        same(first, next, at);
        nasoseg_segmentation_free(next);
    }
    for (size_t at = 1; at < sizeof bytes / sizeof bytes[0]; at++) {
        nasoseg_segmentation *next = segmented(engine, &bytes[at], 8.0);
        same(second, next, 100 + at);
        nasoseg_segmentation_free(next);
    }
    nasoseg_segmentation_free(first);
    nasoseg_segmentation_free(second);
    nasoseg_engine_free(engine);
    return 0;
}
