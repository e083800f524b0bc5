/* GET /v1/agent/host: memory, processors, the system and its disk, out of /proc and statvfs, under
 * the names of the library that Consul asks (gopsutil). */
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/vec.h"
#include "http/agent_request.h"
#include "loop/file.h"

#define PROC_FILE_SIZE_MAX (1u << 20)
#define CPUS_MAX 1024u

static struct str read_proc(struct arena *a, struct str path)
{
    struct str bytes = STR_NULL;
    struct err err = {0};
    return file_read(path, PROC_FILE_SIZE_MAX, a, &bytes, &err) < 0 ? STR_NULL : bytes;
}

/* 0 for what is no number. */
static uint64_t number_of(struct str text)
{
    uint64_t n = 0;
    return str_parse_u64(text, &n) < 0 ? 0 : n;
}

/* "MemTotal:    123 kB" in bytes; plain numbers as they are. */
static uint64_t proc_number(struct str text, struct str name)
{
    struct str line;
    while (text.n > 0 && str_split_next(&text, '\n', &line)) {
        struct str key, value, number, unit;
        if (!str_cut(line, ':', &key, &value) || !str_eq(str_trim(key), name)) {
            continue;
        }
        bool has_unit = str_cut(str_trim(value), ' ', &number, &unit);
        return number_of(number) * (has_unit ? 1024 : 1);
    }
    return 0;
}

static void put_u64(struct json_writer *w, struct str key, uint64_t n)
{
    json_key(w, key);
    json_u64(w, n);
}

static void put_str(struct json_writer *w, struct str key, struct str value)
{
    json_key(w, key);
    json_str(w, value);
}

static void put_memory(struct json_writer *w, struct arena *a)
{
    static const struct {
        struct str name, proc;
    } members[] = {
        {STR_INIT("active"), STR_INIT("Active")},
        {STR_INIT("inactive"), STR_INIT("Inactive")},
        {STR_INIT("buffers"), STR_INIT("Buffers")},
        {STR_INIT("cached"), STR_INIT("Cached")},
        {STR_INIT("writeback"), STR_INIT("Writeback")},
        {STR_INIT("dirty"), STR_INIT("Dirty")},
        {STR_INIT("writebacktmp"), STR_INIT("WritebackTmp")},
        {STR_INIT("shared"), STR_INIT("Shmem")},
        {STR_INIT("slab"), STR_INIT("Slab")},
        {STR_INIT("sreclaimable"), STR_INIT("SReclaimable")},
        {STR_INIT("sunreclaim"), STR_INIT("SUnreclaim")},
        {STR_INIT("pagetables"), STR_INIT("PageTables")},
        {STR_INIT("swapcached"), STR_INIT("SwapCached")},
        {STR_INIT("commitlimit"), STR_INIT("CommitLimit")},
        {STR_INIT("committedas"), STR_INIT("Committed_AS")},
        {STR_INIT("swaptotal"), STR_INIT("SwapTotal")},
        {STR_INIT("swapfree"), STR_INIT("SwapFree")},
        {STR_INIT("mapped"), STR_INIT("Mapped")},
        {STR_INIT("vmalloctotal"), STR_INIT("VmallocTotal")},
        {STR_INIT("vmallocused"), STR_INIT("VmallocUsed")},
        {STR_INIT("vmallocchunk"), STR_INIT("VmallocChunk")},
        {STR_INIT("hugepagestotal"), STR_INIT("HugePages_Total")},
        {STR_INIT("hugepagesfree"), STR_INIT("HugePages_Free")},
        {STR_INIT("hugepagesize"), STR_INIT("Hugepagesize")},
    };
    struct str text = read_proc(a, STR("/proc/meminfo"));
    uint64_t total = proc_number(text, STR("MemTotal")), free_ = proc_number(text, STR("MemFree"));
    uint64_t cached = proc_number(text, STR("Cached")) + proc_number(text, STR("SReclaimable"));
    uint64_t taken = free_ + proc_number(text, STR("Buffers")) + cached;
    uint64_t used = total > taken ? total - taken : 0;
    json_object_begin(w);
    put_u64(w, STR("total"), total);
    put_u64(w, STR("available"), proc_number(text, STR("MemAvailable")));
    put_u64(w, STR("used"), used);
    json_key(w, STR("usedPercent"));
    json_f64(w, total > 0 ? 100.0 * (double)used / (double)total : 0);
    put_u64(w, STR("free"), free_);
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        put_u64(w, members[i].name, proc_number(text, members[i].proc));
    }
    json_object_end(w);
}

/* The value of a key of /proc/cpuinfo's paragraph. */
static struct str cpu_value(struct str paragraph, struct str name)
{
    struct str line, key, value;
    while (paragraph.n > 0 && str_split_next(&paragraph, '\n', &line)) {
        if (str_cut(line, ':', &key, &value) && str_eq(str_trim(key), name)) {
            return str_trim(value);
        }
    }
    return STR_NULL;
}

static void put_cpu(struct json_writer *w, struct str p, uint64_t number, struct arena *a)
{
    double mhz = 0;
    struct str head, rest, flag;
    if (str_parse_f64(cpu_value(p, STR("cpu MHz")), &mhz) < 0) {
        mhz = 0;
    }
    (void)str_cut(cpu_value(p, STR("cache size")), ' ', &head, &rest);
    uint64_t cache_kb = number_of(head);
    VEC(struct str) flags = {0};
    rest = cpu_value(p, STR("flags"));
    while (rest.n > 0 && str_split_next(&rest, ' ', &flag)) {
        avec_push(a, &flags, flag);
    }
    json_object_begin(w);
    put_u64(w, STR("cpu"), number);
    put_str(w, STR("vendorId"), cpu_value(p, STR("vendor_id")));
    put_str(w, STR("family"), cpu_value(p, STR("cpu family")));
    put_str(w, STR("model"), cpu_value(p, STR("model")));
    put_u64(w, STR("stepping"), number_of(cpu_value(p, STR("stepping"))));
    put_str(w, STR("physicalId"), cpu_value(p, STR("physical id")));
    put_str(w, STR("coreId"), cpu_value(p, STR("core id")));
    put_u64(w, STR("cores"), 1);
    put_str(w, STR("modelName"), cpu_value(p, STR("model name")));
    json_key(w, STR("mhz"));
    json_f64(w, mhz);
    put_u64(w, STR("cacheSize"), cache_kb);
    json_key(w, STR("flags"));
    json_strlist(w, (struct strlist){flags.n > 0 ? flags.v : SCHEMA_EMPTY, flags.n});
    put_str(w, STR("microcode"), cpu_value(p, STR("microcode")));
    json_object_end(w);
}

static void put_cpus(struct json_writer *w, struct arena *a)
{
    struct str text = read_proc(a, STR("/proc/cpuinfo"));
    uint64_t number = 0;
    json_array_begin(w);
    while (text.n > 0 && number < CPUS_MAX) {
        ptrdiff_t end = str_find(text, STR("\n\n"));
        struct str paragraph = end >= 0 ? str_first(text, (size_t)end) : text;
        text = end >= 0 ? str_from(text, (size_t)end + 2) : STR_NULL;
        if (cpu_value(paragraph, STR("processor")).n > 0) {
            put_cpu(w, paragraph, number++, a);
        }
    }
    json_array_end(w);
}

/* KEY=value or KEY="value" of /etc/os-release. */
static struct str os_value(struct str text, struct str name)
{
    struct str line, key, value;
    while (text.n > 0 && str_split_next(&text, '\n', &line)) {
        if (str_cut(line, '=', &key, &value) && str_eq(key, name)) {
            if (value.n >= 2 && value.p[0] == '"') {
                value = str_make(value.p + 1, value.n - 2);
            }
            return value;
        }
    }
    return STR_NULL;
}

static uint64_t count_processes(struct arena *a)
{
    struct str text = read_proc(a, STR("/proc/loadavg")), field = STR_NULL, running, all;
    for (int i = 0; i < 4; i++) {
        if (!str_split_next(&text, ' ', &field)) {
            return 0;
        }
    }
    return str_cut(field, '/', &running, &all) ? number_of(all) : 0;
}

static void put_host(struct json_writer *w, struct arena *a)
{
    struct utsname u = {0};
    (void)uname(&u);
    struct str os = read_proc(a, STR("/etc/os-release"));
    struct str seconds, rest, uptime_text = read_proc(a, STR("/proc/uptime"));
    (void)str_cut(uptime_text, '.', &seconds, &rest);
    uint64_t uptime = number_of(seconds);
    struct str machine_id = str_trim(read_proc(a, STR("/etc/machine-id")));
    json_object_begin(w);
    put_str(w, STR("hostname"), str_from_cstr(u.nodename));
    put_u64(w, STR("uptime"), uptime);
    put_u64(w, STR("bootTime"), (uint64_t)(clock_wall_ns() / (int64_t)NS_PER_SEC) - uptime);
    put_u64(w, STR("procs"), count_processes(a));
    put_str(w, STR("os"), STR("linux"));
    put_str(w, STR("platform"), os_value(os, STR("ID")));
    put_str(w, STR("platformFamily"), os_value(os, STR("ID")));
    put_str(w, STR("platformVersion"), os_value(os, STR("VERSION_ID")));
    put_str(w, STR("kernelVersion"), str_from_cstr(u.release));
    put_str(w, STR("kernelArch"), str_from_cstr(u.machine));
    put_str(w, STR("virtualizationSystem"), STR(""));
    put_str(w, STR("virtualizationRole"), STR(""));
    put_str(w, STR("hostid"), machine_id);
    json_object_end(w);
}

static void put_disk(struct json_writer *w)
{
    struct statvfs s;
    if (statvfs("/", &s) != 0) {
        json_null(w);
        return;
    }
    uint64_t block = s.f_frsize, total = s.f_blocks * block;
    uint64_t used = (s.f_blocks - s.f_bfree) * block, free_ = s.f_bavail * block;
    uint64_t inodes_used = s.f_files - s.f_ffree;
    json_object_begin(w);
    put_str(w, STR("path"), STR("/"));
    put_str(w, STR("fstype"), STR(""));
    put_u64(w, STR("total"), total);
    put_u64(w, STR("free"), free_);
    put_u64(w, STR("used"), used);
    json_key(w, STR("usedPercent"));
    json_f64(w, used + free_ > 0 ? 100.0 * (double)used / (double)(used + free_) : 0);
    put_u64(w, STR("inodesTotal"), s.f_files);
    put_u64(w, STR("inodesUsed"), inodes_used);
    put_u64(w, STR("inodesFree"), s.f_ffree);
    json_key(w, STR("inodesUsedPercent"));
    json_f64(w, s.f_files > 0 ? 100.0 * (double)inodes_used / (double)s.f_files : 0);
    json_object_end(w);
}

void agent_host_handle(struct http_req *req)
{
    if (!http_permit(req, ACL_OPERATOR_READ, STR(""))) {
        return;
    }
    struct json_writer w = http_json_begin(req);
    json_object_begin(&w);
    json_key(&w, STR("Memory"));
    put_memory(&w, req->arena);
    json_key(&w, STR("CPU"));
    put_cpus(&w, req->arena);
    json_key(&w, STR("Host"));
    put_host(&w, req->arena);
    json_key(&w, STR("Disk"));
    put_disk(&w);
    json_key(&w, STR("CollectionTime"));
    json_i64(&w, clock_wall_ns());
    json_key(&w, STR("Errors"));
    json_null(&w);
    json_object_end(&w);
    http_finish(req, 200);
}
