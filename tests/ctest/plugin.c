/* A host that opens the library as a plug-in does: by path, its symbols kept apart; and closes it again. In: the library. */

#define _POSIX_C_SOURCE 200809L

#include "study.h"

#include <dlfcn.h>

/* By name, through memcpy: ISO C has no cast from an object's address to a function's. */
#define LOAD(pointer, name)                                 \
    do {                                                    \
        void *address_ = dlsym(library, name);              \
        CHECK(address_ != NULL);                            \
        memcpy(&(pointer), &address_, sizeof(pointer));     \
    } while (0)

int main(int argc, char **argv) {
    CHECK(argc == 2);
    for (int round = 0; round < 2; round++) {
        uint32_t (*abi_version)(void);
        uint32_t (*new_engine)(const char *, const seqseg_options *, const seqseg_run *, seqseg_engine **, seqseg_error **);
        void (*free_engine)(seqseg_engine *);
        uint32_t (*new_study)(seqseg_study **, seqseg_error **);
        void (*free_study)(seqseg_study *);
        uint32_t (*set_volume)(seqseg_study *, uint32_t, const seqseg_volume_view *, const seqseg_options *, const seqseg_run *, seqseg_error **);
        uint32_t (*detect)(const seqseg_engine *, const seqseg_study *, const seqseg_options *, const seqseg_run *, seqseg_detection **,
                           seqseg_error **);
        size_t (*slice_count)(const seqseg_detection *);
        void (*free_detection)(seqseg_detection *);
        seqseg_engine *engine = NULL;
        seqseg_study *study = NULL;
        seqseg_detection *detection = NULL;
        float *voxels = (float *)malloc(STUDY_VOXELS * sizeof(float));
        const seqseg_volume_view view = study_view(voxels);
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        CHECK(library != NULL && voxels != NULL);
        LOAD(abi_version, "seqseg_abi_version");
        LOAD(new_engine, "seqseg_engine_new");
        LOAD(free_engine, "seqseg_engine_free");
        LOAD(new_study, "seqseg_study_new");
        LOAD(free_study, "seqseg_study_free");
        LOAD(set_volume, "seqseg_study_set_volume");
        LOAD(detect, "seqseg_detect");
        LOAD(slice_count, "seqseg_detection_slice_count");
        LOAD(free_detection, "seqseg_detection_free");
        CHECK(abi_version() >= SEQSEG_ABI_VERSION);
        CHECK(new_engine(SEQSEG_TEST_BUNDLE, NULL, NULL, &engine, NULL) == SEQSEG_OK);
        CHECK(new_study(&study, NULL) == SEQSEG_OK);
        for (int sequence = 0; sequence < 3; sequence++) {
            study_fill(sequence, voxels);
            CHECK(set_volume(study, (uint32_t)sequence, &view, NULL, NULL, NULL) == SEQSEG_OK);
        }
        CHECK(detect(engine, study, NULL, NULL, &detection, NULL) == SEQSEG_OK);
        CHECK(slice_count(detection) == STUDY_K);
        free_detection(detection);
        free_study(study);
        free_engine(engine);
        free(voxels);
        CHECK(dlclose(library) == 0);
    }
    return 0;
}
