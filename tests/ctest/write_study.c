/* Writes the study of study.h to files, for programs that read some.
 *
 * In: a folder. Out: t1.nrrd, t1c.nrrd and t2.nrrd in it, and folders t1, t1c and t2 of one DICOM
 * file per slice. */

#define _POSIX_C_SOURCE 200809L

#include "study.h"

#include <sys/stat.h>

static const char *const NAMES[3] = {"t1", "t1c", "t2"};
#define ROOT "1.2.826.0.1.3680043.10.4321.8"
#define MR_IMAGE_STORAGE "1.2.840.10008.5.1.4.1.1.4"

static void put_number(FILE *file, uint32_t number, int bytes) {
    for (int at = 0; at < bytes; at++) {
        CHECK(fputc((int)(number >> (8 * at) & 0xFF), file) != EOF);
    }
}

/* An element with an explicit VR, padded to an even length. */
static void put(FILE *file, uint32_t tag, const char *vr, const void *value, size_t size) {
    const bool wide = strcmp(vr, "OW") == 0 || strcmp(vr, "OB") == 0;
    put_number(file, tag >> 16, 2);
    put_number(file, tag & 0xFFFF, 2);
    CHECK(fwrite(vr, 1, 2, file) == 2);
    if (wide) {
        put_number(file, 0, 2);
    }
    put_number(file, (uint32_t)(size + size % 2), wide ? 4 : 2);
    CHECK(fwrite(value, 1, size, file) == size);
    if (size % 2 == 1) {
        CHECK(fputc(strcmp(vr, "UI") == 0 ? '\0' : ' ', file) != EOF);
    }
}

static void put_text(FILE *file, uint32_t tag, const char *vr, const char *value) {
    put(file, tag, vr, value, strlen(value));
}

static void put_short(FILE *file, uint32_t tag, unsigned value) {
    const unsigned char bytes[2] = {(unsigned char)(value & 0xFF), (unsigned char)(value >> 8)};
    put(file, tag, "US", bytes, sizeof bytes);
}

/* Everything of group 2 beside its length; returns that length. */
static long put_meta(FILE *file, const char *instance) {
    const long start = ftell(file);
    put(file, 0x00020001, "OB", "\0\1", 2);
    put_text(file, 0x00020002, "UI", MR_IMAGE_STORAGE);
    put_text(file, 0x00020003, "UI", instance);
    put_text(file, 0x00020010, "UI", "1.2.840.10008.1.2.1");
    put_text(file, 0x00020012, "UI", ROOT);
    return ftell(file) - start;
}

static void put_image(FILE *file, int sequence, int k) {
    static unsigned char pixels[2 * STUDY_I * STUDY_J];
    char series[96], position[96], number[16];
    snprintf(series, sizeof series, ROOT ".%d", sequence + 1);
    snprintf(position, sizeof position, "%.1f\\%.1f\\%.1f", study_first(STUDY_I, STUDY_PIXEL_MM),
             study_first(STUDY_J, STUDY_PIXEL_MM),
             study_first(STUDY_K, STUDY_STEP_MM) + STUDY_STEP_MM * k);
    snprintf(number, sizeof number, "%d", k + 1);
    put_text(file, 0x00080020, "DA", "20260101");
    put_text(file, 0x00080030, "TM", "120000");
    put_text(file, 0x00080060, "CS", "MR");
    put_text(file, 0x0008103E, "LO", NAMES[sequence]);
    put_text(file, 0x00100010, "PN", "TEST^PATIENT");
    put_text(file, 0x00100020, "LO", "T-1");
    put_text(file, 0x00100030, "DA", "19700101");
    put_text(file, 0x00100040, "CS", "O");
    if (sequence == NASOSEG_SEQUENCE_T1C) {
        put_text(file, 0x00180010, "LO", "Gd");
    }
    put_text(file, 0x00180050, "DS", "5");
    put_text(file, 0x00180080, "DS", sequence == NASOSEG_SEQUENCE_T2 ? "4000" : "540");
    put_text(file, 0x00180081, "DS", sequence == NASOSEG_SEQUENCE_T2 ? "99" : "11.8");
    put_text(file, 0x0020000D, "UI", ROOT ".0");
    put_text(file, 0x0020000E, "UI", series);
    put_text(file, 0x00200010, "SH", "1");
    put_text(file, 0x00200013, "IS", number);
    put_text(file, 0x00200032, "DS", position);
    put_text(file, 0x00200037, "DS", "1\\0\\0\\0\\1\\0");
    put_text(file, 0x00200052, "UI", ROOT ".9");
    put_short(file, 0x00280002, 1);
    put_text(file, 0x00280004, "CS", "MONOCHROME2");
    put_short(file, 0x00280010, STUDY_J);
    put_short(file, 0x00280011, STUDY_I);
    put_text(file, 0x00280030, "DS", "3\\3");
    put_short(file, 0x00280100, 16);
    put_short(file, 0x00280101, 16);
    put_short(file, 0x00280102, 15);
    put_short(file, 0x00280103, 0);
    for (int at = 0; at < STUDY_I * STUDY_J; at++) {
        const unsigned value = (unsigned)study_voxel(sequence, at % STUDY_I, at / STUDY_I, k);
        pixels[2 * at] = (unsigned char)(value & 0xFF);
        pixels[2 * at + 1] = (unsigned char)(value >> 8);
    }
    put(file, 0x7FE00010, "OW", pixels, sizeof pixels);
}

static void write_dicom(const char *folder, int sequence) {
    char path[4096], instance[96];
    snprintf(path, sizeof path, "%s/%s", folder, NAMES[sequence]);
    mkdir(path, 0777);
    for (int k = 0; k < STUDY_K; k++) {
        FILE *file;
        long size;
        unsigned char length[4];
        snprintf(instance, sizeof instance, ROOT ".%d.%d", sequence + 1, k + 1);
        snprintf(path, sizeof path, "%s/%s/%d.dcm", folder, NAMES[sequence], STUDY_K - k);
        file = fopen(path, "wb");
        CHECK(file != NULL);
        for (int at = 0; at < 128; at++) {
            fputc(0, file);
        }
        fputs("DICM", file);
        /* Written twice: the length comes first. */
        put(file, 0x00020000, "UL", "\0\0\0\0", 4);
        size = put_meta(file, instance);
        for (int at = 0; at < 4; at++) {
            length[at] = (unsigned char)(size >> (8 * at) & 0xFF);
        }
        CHECK(fseek(file, 132, SEEK_SET) == 0);
        put(file, 0x00020000, "UL", length, sizeof length);
        put_meta(file, instance);
        put_text(file, 0x00080016, "UI", MR_IMAGE_STORAGE);
        put_text(file, 0x00080018, "UI", instance);
        put_image(file, sequence, k);
        CHECK(fclose(file) == 0);
    }
}

static void write_nrrd(const char *folder, int sequence) {
    static float voxels[STUDY_VOXELS];
    const uint16_t one = 1;
    char path[4096];
    FILE *file;
    snprintf(path, sizeof path, "%s/%s.nrrd", folder, NAMES[sequence]);
    file = fopen(path, "wb");
    CHECK(file != NULL);
    fprintf(file,
            "NRRD0004\ntype: float\ndimension: 3\nspace: left-posterior-superior\n"
            "sizes: %d %d %d\nspace directions: (3,0,0) (0,3,0) (0,0,6)\n"
            "space origin: (%.1f,%.1f,%.1f)\nendian: %s\nencoding: raw\n\n",
            STUDY_I, STUDY_J, STUDY_K, study_first(STUDY_I, STUDY_PIXEL_MM),
            study_first(STUDY_J, STUDY_PIXEL_MM), study_first(STUDY_K, STUDY_STEP_MM),
            *(const unsigned char *)&one ? "little" : "big");
    study_fill(sequence, voxels);
    CHECK(fwrite(voxels, sizeof(float), STUDY_VOXELS, file) == STUDY_VOXELS);
    CHECK(fclose(file) == 0);
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    for (int sequence = 0; sequence < 3; sequence++) {
        write_nrrd(argv[1], sequence);
        write_dicom(argv[1], sequence);
    }
    return 0;
}
