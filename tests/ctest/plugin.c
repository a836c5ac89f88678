/* A host that opens the library by path with private symbols, as plug-in hosts do, and closes it
 * again. In: the library. */

#define _POSIX_C_SOURCE 200809L

#include "study.h"

#include <dlfcn.h>

/* Looks up a name. memcpy, because ISO C has no cast from an object's address to a function's. */
#define LOAD(pointer, name)                                                                        \
    do {                                                                                           \
        void *address_ = dlsym(library, name);                                                     \
        CHECK(address_ != NULL);                                                                   \
        memcpy(&(pointer), &address_, sizeof(pointer));                                            \
    } while (0)

int main(int argc, char **argv) {
    CHECK(argc == 2);
    for (int round = 0; round < 2; round++) {
        uint32_t (*abi_version)(void);
        uint32_t (*new_engine)(const char *, const nasoseg_options *, const nasoseg_run *,
                               nasoseg_engine **, nasoseg_error **);
        void (*free_engine)(nasoseg_engine *);
        uint32_t (*new_study)(nasoseg_study **, nasoseg_error **);
        void (*free_study)(nasoseg_study *);
        uint32_t (*set_volume)(nasoseg_study *, uint32_t, const nasoseg_volume_view *,
                               const nasoseg_options *, const nasoseg_run *, nasoseg_error **);
        uint32_t (*detect)(const nasoseg_engine *, const nasoseg_study *, const nasoseg_options *,
                           const nasoseg_run *, nasoseg_detection **, nasoseg_error **);
        size_t (*slice_count)(const nasoseg_detection *);
        void (*free_detection)(nasoseg_detection *);
        nasoseg_engine *engine = NULL;
        nasoseg_study *study = NULL;
        nasoseg_detection *detection = NULL;
        float *voxels = (float *)malloc(STUDY_VOXELS * sizeof(float));
        const nasoseg_volume_view view = study_view(voxels);
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        CHECK(library != NULL && voxels != NULL);
        LOAD(abi_version, "nasoseg_abi_version");
        LOAD(new_engine, "nasoseg_engine_new");
        LOAD(free_engine, "nasoseg_engine_free");
        LOAD(new_study, "nasoseg_study_new");
        LOAD(free_study, "nasoseg_study_free");
        LOAD(set_volume, "nasoseg_study_set_volume");
        LOAD(detect, "nasoseg_detect");
        LOAD(slice_count, "nasoseg_detection_slice_count");
        LOAD(free_detection, "nasoseg_detection_free");
        CHECK(abi_version() >= NASOSEG_ABI_VERSION);
        CHECK(new_engine(NASOSEG_TEST_BUNDLE, NULL, NULL, &engine, NULL) == NASOSEG_OK);
        CHECK(new_study(&study, NULL) == NASOSEG_OK);
        for (int sequence = 0; sequence < 3; sequence++) {
            study_fill(sequence, voxels);
            CHECK(set_volume(study, (uint32_t)sequence, &view, NULL, NULL, NULL) == NASOSEG_OK);
        }
        CHECK(detect(engine, study, NULL, NULL, &detection, NULL) == NASOSEG_OK);
        CHECK(slice_count(detection) == STUDY_K);
        free_detection(detection);
        free_study(study);
        free_engine(engine);
        free(voxels);
        CHECK(dlclose(library) == 0);
    }
    return 0;
}
