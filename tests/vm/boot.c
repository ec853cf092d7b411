/* SPDX-License-Identifier: ISC */
/*
 * boot CACHE VERSION INITRD [disk MIB] [processors NUMBER] [KERNEL ARGUMENT ...]
 *
 * Boots a kernel of the cache in an emulated machine and reports what its programs say on
 * the serial console. Of each line that begins so, it takes notice:
 *
 *      VM: begin NAME              a program starts
 *      VM: end NAME EXIT SIGNAL    and ends; what it printed is shown where it failed
 *      VM: look NAME LEAST MOST HEX    stops the machine and counts, in its memory, a
 *                                  marker whose complement is HEX; goes on after that
 *      VM: image NAME LEAST MOST HEX   the same in the disk, when the machine is off
 *      VM: done                    all programs ran
 *
 * A boot that panics is tried again, twice, and counted. Memory and disk are memfds: no
 * file stays behind, and the machine dies with this program.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEMORY_MIB   1024
#define BOOTS        3
#define MOST_SILENCE 300 /* seconds; a program of a busy host takes a while */
#define MARKER_BYTES 64
#define MOST_LOOKS   8
#define SKIP_EXIT    77

struct machine {
    const char *cache, *version, *initrd;
    char append[512];
    const char *processors; /* how many */
    size_t disk_mib;
    int memory, disk; /* memfds */
    pid_t pid;
    int console; /* both ways */
};

/* What is to be counted. */
struct look {
    char name[64];
    size_t least, most;
    unsigned char marker[MARKER_BYTES];
};

struct report {
    bool done, panicked;
    unsigned passed, failed, skipped;
    char program[64];     /* that runs now */
    char output[1 << 16]; /* what it printed */
    size_t length;
    struct look images[MOST_LOOKS];
    size_t image_count;
};

static const char *version; /* for what is said */

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    fflush(stdout);
}

static int make_memfd(const char *name, size_t mib)
{
    int descriptor = memfd_create(name, 0); /* inherited */
    if (descriptor < 0 || ftruncate(descriptor, (off_t)(mib << 20)) != 0) {
        perror(name);
        exit(1);
    }
    return descriptor;
}

static void become_machine(const struct machine *machine, int console)
{
    char program[512], libraries[1024], kernel[512], memory[160], disk[160];
    char firmware[512], firmware2[512];
    const char *cache = machine->cache;
    snprintf(program, sizeof program, "%s/qemu/usr/bin/qemu-system-x86_64", cache);
    snprintf(libraries, sizeof libraries,
             "%s/qemu/usr/lib/x86_64-linux-gnu:%s/qemu/lib/x86_64-linux-gnu", cache,
             cache);
    snprintf(kernel, sizeof kernel, "%s/vmlinuz-%s", cache, machine->version);
    snprintf(firmware, sizeof firmware, "%s/qemu/usr/share/qemu", cache);
    snprintf(firmware2, sizeof firmware2, "%s/qemu/usr/share/seabios", cache);
    snprintf(memory, sizeof memory,
             "memory-backend-file,id=ram,size=%dM,share=on,mem-path=/proc/self/fd/%d",
             MEMORY_MIB, machine->memory);
    snprintf(disk, sizeof disk,
             "file=/proc/self/fd/%d,format=raw,if=none,id=disk,file.locking=off",
             machine->disk);
    const char *arguments[] = {
        program,
        "-L",
        firmware,
        "-L",
        firmware2,
        "-M",
        "q35,memory-backend=ram",
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max,-la57,-erms,-fsrm", /* a level, or a byte at a time, is dear here */
        "-smp",
        machine->processors,
        "-m",
        "1024",
        "-object",
        memory,
        "-nographic",
        "-no-reboot",
        "-nic",
        "none",
        "-kernel",
        kernel,
        "-initrd",
        machine->initrd,
        "-append",
        machine->append,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
    };
    size_t count = 0;
    while (arguments[count] != NULL)
        count++;
    if (machine->disk_mib > 0) {
        arguments[count++] = "-drive";
        arguments[count++] = disk;
        arguments[count++] = "-device";
        arguments[count++] = "nvme,drive=disk,serial=securemem";
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
        setenv("LD_LIBRARY_PATH", libraries, 1) != 0 || dup2(console, STDIN_FILENO) < 0 ||
        dup2(console, STDOUT_FILENO) < 0)
        _exit(126);
    execv(program, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static void start(struct machine *machine)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
        perror("socketpair");
        exit(1);
    }
    machine->pid = fork();
    if (machine->pid == 0)
        become_machine(machine, ends[1]);
    close(ends[1]);
    machine->console = ends[0];
}

/* Its status; it is ended where it runs. */
static int end(struct machine *machine)
{
    int status = 0;
    kill(machine->pid, SIGKILL);
    if (waitpid(machine->pid, &status, 0) != machine->pid)
        exit(1);
    close(machine->console);
    return status;
}

/* Each place where the marker begins. */
static size_t count_in(int descriptor, const unsigned char marker[MARKER_BYTES])
{
    off_t length = lseek(descriptor, 0, SEEK_END);
    unsigned char *bytes =
        mmap(NULL, (size_t)length, PROT_READ, MAP_SHARED, descriptor, 0);
    if (length <= 0 || bytes == MAP_FAILED)
        return SIZE_MAX;
    size_t count = 0;
    const unsigned char *at = bytes, *last = bytes + length - MARKER_BYTES;
    while (at <= last) {
        at = memmem(at, (size_t)(bytes + length - at), marker, MARKER_BYTES);
        if (at == NULL)
            break;
        count++;
        at++;
    }
    munmap(bytes, (size_t)length);
    return count;
}

static bool parse_look(const char *text, struct look *out)
{
    char hex[2 * MARKER_BYTES + 1];
    if (sscanf(text, "%63s %zu %zu %128s", out->name, &out->least, &out->most, hex) !=
            4 ||
        strlen(hex) != 2 * MARKER_BYTES)
        return false;
    for (size_t i = 0; i < MARKER_BYTES; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            return false;
        out->marker[i] = (unsigned char)~byte;
    }
    return true;
}

static void judge(struct report *report, const struct look *look, size_t count,
                  const char *where)
{
    bool good = count >= look->least && count <= look->most;
    say("%s: linux %s: %s: %zu copies in %s\n", good ? "NOTE" : "FAILED", version,
        look->name, count, where);
    report->passed += good;
    report->failed += !good;
}

/* The machine stands still meanwhile. */
static void look(struct machine *machine, struct report *report, const char *text)
{
    struct look wanted;
    if (!parse_look(text, &wanted)) {
        report->failed++;
        return;
    }
    kill(machine->pid, SIGSTOP);
    if (waitpid(machine->pid, NULL, WUNTRACED) != machine->pid)
        exit(1);
    judge(report, &wanted, count_in(machine->memory, wanted.marker), "memory");
    kill(machine->pid, SIGCONT);
    if (write(machine->console, "\n", 1) != 1)
        report->failed++;
}

static void finish_program(struct report *report, const char *text)
{
    char name[64];
    int code, signal;
    if (sscanf(text, "%63s %d %d", name, &code, &signal) != 3)
        return;
    report->program[0] = '\0';
    if (code == 0) {
        report->passed++;
        return;
    }
    if (code == SKIP_EXIT) {
        report->skipped++;
        return;
    }
    report->failed++;
    say("FAILED: linux %s: %s: exit %d, signal %d\n%.*s\n", version, name, code, signal,
        (int)report->length, report->output);
}

static void keep(struct report *report, const char *line)
{
    size_t length = strlen(line), room = sizeof report->output - report->length;
    if (length + 2 > room) {
        size_t half = sizeof report->output / 2;
        memmove(report->output, report->output + half, report->length - half);
        report->length -= half;
    }
    memcpy(report->output + report->length, line, length);
    report->length += length;
    report->output[report->length++] = '\n';
}

static const char *after(const char *line, const char *start)
{
    const char *found = strstr(line, start);
    return found == NULL ? NULL : found + strlen(start);
}

static void take_line(struct machine *machine, struct report *report, const char *line)
{
    const char *rest;
    if ((rest = after(line, "VM: begin ")) != NULL) {
        snprintf(report->program, sizeof report->program, "%s", rest);
        report->length = 0;
    } else if ((rest = after(line, "VM: end ")) != NULL) {
        finish_program(report, rest);
    } else if ((rest = after(line, "VM: look ")) != NULL) {
        look(machine, report, rest);
    } else if ((rest = after(line, "VM: image ")) != NULL) {
        if (report->image_count < MOST_LOOKS &&
            parse_look(rest, &report->images[report->image_count]))
            report->image_count++;
        else
            report->failed++;
    } else if (strstr(line, "VM: done") != NULL) {
        report->done = true;
    } else if (strstr(line, "Kernel panic") != NULL) {
        report->panicked = true;
        say("NOTE: linux %s: %s\n", version, line);
    } else if (strncmp(line, "SKIP: ", 6) == 0) {
        say("SKIP: linux %s: %s\n", version, line + 6);
    } else if (strncmp(line, "NOTE: ", 6) == 0) {
        say("NOTE: linux %s: %s\n", version, line + 6);
    }
    keep(report, line);
}

/* Lines until the machine is off. False where it hangs: it has said nothing for long. */
static bool listen_to(struct machine *machine, struct report *report)
{
    static char line[1 << 14];
    size_t length = 0;
    time_t until = time(NULL) + MOST_SILENCE;
    for (;;) {
        struct pollfd waiting = {.fd = machine->console, .events = POLLIN};
        char bytes[4096];
        if (time(NULL) > until)
            return false;
        if (poll(&waiting, 1, 1000) <= 0)
            continue;
        ssize_t got = read(machine->console, bytes, sizeof bytes);
        if (got <= 0)
            return true;
        until = time(NULL) + MOST_SILENCE;
        for (ssize_t i = 0; i < got; i++) {
            if (bytes[i] == '\r')
                continue;
            if (bytes[i] != '\n' && length < sizeof line - 1) {
                line[length++] = bytes[i];
                continue;
            }
            line[length] = '\0';
            length = 0;
            take_line(machine, report, line);
        }
    }
}

/* True where it need not be tried again. */
static bool boot(struct machine *machine, struct report *report)
{
    machine->memory = make_memfd("memory", MEMORY_MIB);
    machine->disk = make_memfd("disk", machine->disk_mib);
    start(machine);
    bool in_time = listen_to(machine, report);
    end(machine);
    for (size_t i = 0; i < report->image_count; i++)
        judge(report, &report->images[i],
              count_in(machine->disk, report->images[i].marker), "the image");
    close(machine->memory);
    close(machine->disk);
    bool ended = report->done || report->image_count > 0;
    if (!ended && !report->panicked)
        say("FAILED: linux %s: %s in %s\n%.*s\n", version,
            in_time ? "it went off" : "it hangs",
            report->program[0] == '\0' ? "the boot" : report->program,
            (int)report->length, report->output);
    return ended;
}

int main(int argc, char **argv)
{
    static struct report report;
    struct machine machine = {0};
    char probe[512];
    if (argc < 4) {
        fprintf(stderr, "usage: boot CACHE VERSION INITRD [disk MIB] [processors NUMBER] "
                        "[ARGUMENT ...]\n");
        return 2;
    }
    /* Where ctest is ended, so is this, and the machine with it. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return 1;
    machine.cache = argv[1];
    version = machine.version = argv[2];
    machine.initrd = argv[3];
    snprintf(probe, sizeof probe, "%s/complete", machine.cache);
    if (access(probe, F_OK) != 0) {
        say("SKIP: linux %s: there is no virtual machine here\n", version);
        return SKIP_EXIT;
    }
    machine.processors = "1";
    int next = 4;
    for (; next + 1 < argc; next += 2)
        if (strcmp(argv[next], "disk") == 0)
            machine.disk_mib = (size_t)strtoul(argv[next + 1], NULL, 10);
        else if (strcmp(argv[next], "processors") == 0)
            machine.processors = argv[next + 1];
        else
            break;
    /* A busy host is late with ticks, for which a kernel takes its timer to be broken. */
    snprintf(machine.append, sizeof machine.append,
             "console=ttyS0 panic=-1 quiet no_timer_check");
    for (; next < argc; next++) {
        size_t used = strlen(machine.append);
        snprintf(machine.append + used, sizeof machine.append - used, " %s", argv[next]);
    }
    bool ended = false;
    unsigned boots = 0;
    while (!ended && boots < BOOTS) {
        memset(&report, 0, sizeof report);
        boots++;
        ended = boot(&machine, &report);
        if (!ended && !report.panicked)
            break;
    }
    say("NOTE: linux %s: %u passed, %u failed, %u skipped, in boot %u of at most %u\n",
        version, report.passed, report.failed, report.skipped, boots, (unsigned)BOOTS);
    return ended && report.failed == 0 && report.passed > 0 ? 0 : 1;
}
