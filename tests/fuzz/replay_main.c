/* replay_main.c - stands in for libFuzzer in ordinary builds: runs each file of a corpus directory
 * once. The directory must exist and hold something, or else the test would say nothing. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_SIZE_MAX (16u << 20)

/* 1 when the file was run, 0 when it is not a file, -1 when it cannot be read. */
static int replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return -1;
    }
    if (!S_ISREG(st.st_mode)) {
        return 0;
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL || st.st_size > INPUT_SIZE_MAX) {
        return -1;
    }
    /* Exactly as large as the input, so that ASan sees a byte too far. */
    size_t size = (size_t)st.st_size;
    uint8_t *data = xmalloc(size);
    bool complete = fread(data, 1, size, file) == size;
    (void)fclose(file);
    if (complete) {
        (void)LLVMFuzzerTestOneInput(data, size);
    }
    mem_free(data);
    return complete ? 1 : -1;
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (dir == NULL) {
        (void)fprintf(stderr, "usage: %s DIRECTORY, which must exist\n", argv[0]);
        return 2;
    }
    struct arena a = {0};
    int count = 0, failed = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct str path = arena_printf(&a, "%s/%s", argv[1], entry->d_name);
        int r = replay(path.p);
        if (r < 0) {
            (void)fprintf(stderr, "cannot read %s\n", path.p);
            failed++;
        }
        count += r > 0;
    }
    (void)closedir(dir);
    arena_deinit(&a);
    (void)printf("%d inputs\n", count);
    return failed > 0 || count == 0;
}
