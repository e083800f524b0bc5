#include "agent/process_metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/gofmt.h"
#include "base/metrics.h"

#define PROC_TEXT_SIZE 4096u

static struct metric threads = METRIC_GAUGE("runtime.num_goroutines");
static struct metric alloc_bytes = METRIC_GAUGE("runtime.alloc_bytes");
static struct metric sys_bytes = METRIC_GAUGE("runtime.sys_bytes");
static struct metric gc_pause_ns = METRIC_GAUGE("runtime.total_gc_pause_ns");
static struct metric gc_runs = METRIC_GAUGE("runtime.total_gc_runs");

/* The beginning of a file of /proc; empty when it cannot be read. */
static struct str proc_read(const char *path, char text[PROC_TEXT_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return STR("");
    }
    ssize_t n = read(fd, text, PROC_TEXT_SIZE);
    (void)close(fd);
    return str_make(text, n > 0 ? (size_t)n : 0);
}

/* The numbers of a line; those that are not there stay 0. */
static size_t numbers_read(struct str line, uint64_t *to, size_t count)
{
    struct str word;
    size_t n = 0;
    while (n < count && str_split_next(&line, ' ', &word)) {
        if (str_parse_u64(str_trim(word), &to[n]) < 0) {
            to[n] = 0; /* a negative one, or a letter */
        }
        n++;
    }
    return n;
}

/* /proc/self/statm, in pages: size, resident, shared, text, (0), data. */
struct statm {
    uint64_t size, resident, shared, text, library, data;
};

/* /proc/self/stat, from the third field on: the second, the name, may have anything in it. */
enum stat_field {
    STAT_UTIME = 11,
    STAT_STIME = 12,
    STAT_THREADS = 17,
    STAT_START = 19,
    STAT_FIELDS
};

static bool stat_read(uint64_t fields[STAT_FIELDS])
{
    char text[PROC_TEXT_SIZE];
    struct str all = proc_read("/proc/self/stat", text);
    ptrdiff_t end_of_name = str_rfind_byte(all, ')');
    return end_of_name >= 0 && (size_t)end_of_name + 2 < all.n &&
           numbers_read(str_from(all, (size_t)end_of_name + 2), fields, STAT_FIELDS) == STAT_FIELDS;
}

static bool statm_read(struct statm *ret_statm)
{
    char text[PROC_TEXT_SIZE];
    uint64_t v[6] = {0};
    if (numbers_read(proc_read("/proc/self/statm", text), v, ARRAY_SIZE(v)) < ARRAY_SIZE(v)) {
        return false;
    }
    *ret_statm = (struct statm){v[0], v[1], v[2], v[3], v[4], v[5]};
    return true;
}

static double page_size(void)
{
    return (double)sysconf(_SC_PAGESIZE);
}

void process_metrics_update(void)
{
    uint64_t stat[STAT_FIELDS];
    struct statm statm;
    if (stat_read(stat)) {
        metric_set(&threads, (double)stat[STAT_THREADS]);
    }
    if (statm_read(&statm)) {
        uint64_t own = statm.resident - MIN(statm.shared, statm.resident);
        metric_set(&alloc_bytes, (double)own * page_size());
        metric_set(&sys_bytes, (double)statm.data * page_size());
    }
    metric_set(&gc_pause_ns, 0);
    metric_set(&gc_runs, 0);
}

/* --- Prometheus ------------------------------------------------------------------------------ */

static void put(struct buf *to, const char *type, const char *name, const char *help, double value)
{
    buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n%s ", name, help, name, type, name);
    go_float_g(to, value);
    buf_byte(to, '\n');
}

static void put_files(struct buf *to)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        put(to, "gauge", "process_max_fds", "File descriptors the process may have.",
            (double)limit.rlim_cur);
    }
    DIR *dir = opendir("/proc/self/fd");
    if (dir != NULL) {
        size_t count = 0;
        while (readdir(dir) != NULL) {
            count++;
        }
        (void)closedir(dir);
        put(to, "gauge", "process_open_fds", "File descriptors that are open.",
            count > 3 ? (double)(count - 3) : 0); /* without ".", ".." and dir itself */
    }
}

/* When the system was started, in seconds since 1970; 0: unknown. */
static double boot_time(void)
{
    char text[PROC_TEXT_SIZE];
    char path[] = "/proc/stat";
    struct buf all = {0};
    double seconds = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;
    while (fd >= 0 && (n = read(fd, text, sizeof(text))) > 0) {
        buf_put(&all, text, (size_t)n);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    struct str rest = buf_view(&all), line;
    while (str_split_next(&rest, '\n', &line)) {
        uint64_t value;
        if (str_has_prefix(line, STR("btime ")) && str_parse_u64(str_from(line, 6), &value) == 0) {
            seconds = (double)value;
        }
    }
    buf_deinit(&all);
    return seconds;
}

void process_metrics_prometheus(struct buf *to)
{
    uint64_t stat[STAT_FIELDS];
    struct statm statm;
    struct rlimit limit;
    double ticks = (double)sysconf(_SC_CLK_TCK), boot = boot_time();
    bool has_stat = stat_read(stat), has_statm = statm_read(&statm);
    if (has_stat) {
        put(to, "counter", "process_cpu_seconds_total", "CPU time spent, user's and system's.",
            (double)(stat[STAT_UTIME] + stat[STAT_STIME]) / ticks);
    }
    put_files(to);
    if (has_statm) {
        put(to, "gauge", "process_resident_memory_bytes", "Resident memory.",
            (double)statm.resident * page_size());
    }
    if (has_stat && boot > 0) {
        put(to, "gauge", "process_start_time_seconds", "When the process began, since 1970.",
            boot + (double)stat[STAT_START] / ticks);
    }
    if (has_statm) {
        put(to, "gauge", "process_virtual_memory_bytes", "Virtual memory.",
            (double)statm.size * page_size());
    }
    if (getrlimit(RLIMIT_AS, &limit) == 0) {
        put(to, "gauge", "process_virtual_memory_max_bytes", "Virtual memory it may have.",
            limit.rlim_cur == RLIM_INFINITY ? 18446744073709551615.0 : (double)limit.rlim_cur);
    }
}
