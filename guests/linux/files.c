/* Files: opening, reading and writing at positions, status, directories, names, locks, times. */
#define _FILE_OFFSET_BITS 64
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>

#include "check.h"

#define FAR 0x123456789aLL

static int contains(int fd, const char *text)
{
	char buffer[256] = {0};
	return pread(fd, buffer, sizeof buffer - 1, 0) == (ssize_t)strlen(text) && strcmp(buffer, text) == 0;
}

static void opening(void)
{
	CHECK_ERROR(ENOENT, open("missing", O_RDONLY));
	CHECK_ERROR(ENOTDIR, open("/proc/version/x", O_RDONLY));
	CHECK_ERROR(EISDIR, open(".", O_WRONLY));
	CHECK_ERROR(EBADF, close(1000));
	int fd = open("file", O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0640);
	CHECK(fd >= 3);
	CHECK_ERROR(EEXIST, open("file", O_RDWR | O_CREAT | O_EXCL, 0600));
	int flags = fcntl(fd, F_GETFL);
	CHECK((flags & O_ACCMODE) == O_RDWR && (flags & O_APPEND) && (flags & O_NONBLOCK) && !(flags & O_SYNC));
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_SETFD, 0) == 0 && fcntl(fd, F_GETFD) == 0);
	CHECK(write(fd, "one", 3) == 3 && lseek(fd, 0, SEEK_SET) == 0 && write(fd, "two", 3) == 3);
	CHECK(contains(fd, "onetwo"));
	CHECK(fcntl(fd, F_SETFL, 0) == 0 && !(fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK)));
	CHECK(lseek(fd, 0, SEEK_SET) == 0 && write(fd, "ONE", 3) == 3 && contains(fd, "ONEtwo"));
	close(fd);
	fd = open("file", O_WRONLY | O_TRUNC | O_SYNC);
	CHECK(fd >= 0 && (fcntl(fd, F_GETFL) & O_SYNC) == O_SYNC && lseek(fd, 0, SEEK_END) == 0);
	char byte;
	CHECK_ERROR(EBADF, read(fd, &byte, 1));
	close(fd);
	CHECK_ERROR(ELOOP, open(symlink("file", "link") == 0 ? "link" : "", O_RDONLY | O_NOFOLLOW));
	CHECK_ERROR(ENOTDIR, open("file", O_RDONLY | O_DIRECTORY));
	fd = open(".", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0 && faccessat(fd, "file", R_OK, 0) == 0);
	close(fd);
	char name[5000];
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = 0;
	CHECK_ERROR(ENAMETOOLONG, open(name, O_RDONLY));
}

static void reading(void)
{
	char first[4] = {0}, second[8] = {0};
	int fd = open("data", O_RDWR | O_CREAT, 0600);
	struct iovec out[] = {{"ab", 2}, {"", 0}, {"cdef", 4}}, in[] = {{first, 3}, {second, 7}};
	CHECK(writev(fd, out, 3) == 6 && contains(fd, "abcdef"));
	CHECK(lseek(fd, 0, SEEK_SET) == 0 && readv(fd, in, 2) == 6 && !strcmp(first, "abc") && !strcmp(second, "def"));
	int too_many = 2000;
	CHECK_ERROR(EINVAL, syscall(SYS_readv, fd, in, too_many));
	CHECK(pwrite(fd, "XY", 2, 1) == 2 && contains(fd, "aXYdef") && lseek(fd, 0, SEEK_CUR) == 6);
	CHECK(pwrite(fd, "far", 3, FAR) == 3 && pread(fd, first, 3, FAR) == 3 && !strcmp(first, "far"));
	CHECK(lseek(fd, 0, SEEK_END) == FAR + 3 && lseek(fd, -3, SEEK_CUR) == FAR);
	CHECK(pwritev(fd, out, 3, FAR + 10) == 6 && preadv(fd, in, 2, FAR + 10) == 6 && !strcmp(second, "def"));
	CHECK_ERROR(EINVAL, lseek(fd, -1, SEEK_SET));
	struct stat status;
	CHECK(fstat(fd, &status) == 0 && status.st_size == FAR + 16);
	CHECK(ftruncate(fd, 0x100000002LL) == 0 && fstat(fd, &status) == 0 && status.st_size == 0x100000002LL);
	CHECK(truncate("data", 2) == 0 && fstat(fd, &status) == 0 && status.st_size == 2);
	CHECK(posix_fallocate(fd, 0, 100) == 0 && fstat(fd, &status) == 0 && status.st_size == 100);
	CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL) == 0);
	CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
	CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, "0123456789", 10, 0) == 10);
	int copy = open("copy", O_RDWR | O_CREAT, 0600);
	off_t from = 2;
	CHECK(sendfile(copy, fd, &from, 3) == 3 && from == 5 && contains(copy, "234"));
	loff_t source = 7, target = 1;
	CHECK(syscall(SYS_copy_file_range, fd, &source, copy, &target, 2, 0) == 2 && source == 9 && target == 3);
	CHECK(contains(copy, "278"));
	close(copy);
	close(fd);
	fd = memfd_create("memory", MFD_CLOEXEC);
	CHECK(fd >= 0 && write(fd, "x", 1) == 1);
	close(fd);
}

/* The beginning of struct statx, which not every C library declares. */
struct extended {
	uint32_t stx_mask, stx_blksize;
	uint64_t stx_attributes;
	uint32_t stx_nlink, stx_uid, stx_gid;
	uint16_t stx_mode;
	uint64_t stx_ino, stx_size, rest[26];
};

static void status(void)
{
	struct stat one, two;
	struct extended extended;
	struct statfs system;
	mode_t old = umask(022);
	int fd = open("mode", O_RDWR | O_CREAT, 0666);
	CHECK(write(fd, "12345", 5) == 5);
	CHECK(stat("mode", &one) == 0 && S_ISREG(one.st_mode) && (one.st_mode & 0777) == 0644);
	CHECK(one.st_size == 5 && one.st_nlink == 1 && one.st_uid == getuid() && one.st_blksize >= 512 && one.st_blocks >= 0);
	CHECK(fstat(fd, &two) == 0 && one.st_ino == two.st_ino && one.st_dev == two.st_dev && one.st_mtime == two.st_mtime);
	CHECK(syscall(SYS_statx, -100, "mode", 0, 0x7ff, &extended) == 0);
	CHECK(extended.stx_size == 5 && extended.stx_mode == one.st_mode && extended.stx_ino == one.st_ino);
	CHECK(chmod("mode", 0600) == 0 && stat("mode", &one) == 0 && (one.st_mode & 0777) == 0600);
	CHECK(fchmod(fd, 0400) == 0 && stat("mode", &one) == 0 && (one.st_mode & 0777) == 0400);
	CHECK(chown("mode", -1, -1) == 0 && fchown(fd, getuid(), getgid()) == 0);
	CHECK(access("mode", F_OK) == 0);
	CHECK_ERROR(ENOENT, access("missing", F_OK));
	CHECK(stat("/dev/null", &one) == 0 && S_ISCHR(one.st_mode) && one.st_rdev == 0x103);
	CHECK(statfs(".", &system) == 0 && system.f_bsize >= 512 && system.f_blocks > 0 && system.f_namelen == 255);
	CHECK(fstatfs(fd, &system) == 0 && system.f_bsize >= 512);
	CHECK(statfs("/proc", &system) == 0 && system.f_type == 0x9fa0);
	struct timespec times[2] = {{1000000000, 123456789}, {1500000000, 987654321}};
	CHECK(futimens(fd, times) == 0 && fstat(fd, &one) == 0);
	CHECK(one.st_atim.tv_sec == 1000000000 && one.st_atim.tv_nsec == 123456789);
	CHECK(one.st_mtim.tv_sec == 1500000000 && one.st_mtim.tv_nsec == 987654321);
	CHECK(utimes("mode", (struct timeval[]){{1, 2}, {3, 4}}) == 0 && stat("mode", &one) == 0);
	CHECK(one.st_atim.tv_sec == 1 && one.st_atim.tv_nsec == 2000 && one.st_mtime == 3);
	char value[8];
	if (setxattr("mode", "user.test", "value", 5, 0) == 0)
		CHECK(getxattr("mode", "user.test", value, 8) == 5 && memcmp(value, "value", 5) == 0);
	CHECK_ERROR(ENODATA, getxattr("mode", "user.none", value, 8));
	close(fd);
	umask(old);
}

static int listed(int want)
{
	DIR *directory = opendir(".");
	struct dirent *entry;
	int found = 0, total = 0;
	while ((entry = readdir(directory))) {
		total++;
		if (strncmp(entry->d_name, "entry", 5) == 0 && entry->d_type == DT_REG && entry->d_ino)
			found++;
	}
	rewinddir(directory);
	CHECK(readdir(directory) != 0);
	closedir(directory);
	return found == want && total >= want + 2;
}

static void names(void)
{
	char path[PATH_MAX], buffer[64], old[PATH_MAX];
	struct stat one;
	CHECK(getcwd(old, sizeof old) == old);
	CHECK(mkdir("directory", 0755) == 0);
	CHECK_ERROR(EEXIST, mkdir("directory", 0755));
	CHECK(chdir("directory") == 0 && getcwd(path, sizeof path) && strcmp(path + strlen(old), "/directory") == 0);
	CHECK_ERROR(ERANGE, getcwd(path, 2) ? 0 : -1);
	for (int i = 0; i < 300; i++) {
		snprintf(buffer, sizeof buffer, "entry%d", i);
		close(open(buffer, O_CREAT | O_WRONLY, 0600));
	}
	CHECK(listed(300));
	for (int i = 2; i < 300; i++) {
		snprintf(buffer, sizeof buffer, "entry%d", i);
		if (unlink(buffer))
			CHECK(0);
	}
	CHECK(listed(2));
	CHECK(rename("entry0", "entry1") == 0 && access("entry0", F_OK) == -1 && listed(1));
	CHECK(link("entry1", "entry2") == 0 && stat("entry1", &one) == 0 && one.st_nlink == 2);
	CHECK(symlink("entry1", "name") == 0 && readlink("name", path, sizeof path) == 6 && !memcmp(path, "entry1", 6));
	CHECK(readlink("name", path, 3) == 3);
	CHECK_ERROR(EINVAL, readlink("entry1", path, sizeof path));
	CHECK(lstat("name", &one) == 0 && S_ISLNK(one.st_mode) && one.st_size == 6);
	CHECK(stat("name", &one) == 0 && S_ISREG(one.st_mode));
	CHECK(chdir("..") == 0);
	CHECK_ERROR(ENOTEMPTY, rmdir("directory"));
	int fd = open("directory", O_RDONLY);
	CHECK(unlinkat(fd, "name", 0) == 0 && unlinkat(fd, "entry1", 0) == 0 && renameat(fd, "entry2", fd, "entry3") == 0);
	CHECK(mkdirat(fd, "inner", 0700) == 0 && fstatat(fd, "inner", &one, 0) == 0 && S_ISDIR(one.st_mode));
	CHECK(symlinkat("entry3", fd, "again") == 0 && readlinkat(fd, "again", path, sizeof path) == 6);
	CHECK(fchdir(fd) == 0 && unlink("again") == 0 && unlink("entry3") == 0 && rmdir("inner") == 0 && chdir(old) == 0);
	close(fd);
	CHECK(rmdir("directory") == 0);
	CHECK(mkfifo("pipe", 0600) == 0 && stat("pipe", &one) == 0 && S_ISFIFO(one.st_mode) && unlink("pipe") == 0);
}

static void duplicates(void)
{
	int ends[2], fd = open("data", O_RDWR | O_CREAT, 0600);
	int same = dup(fd);
	char text[4] = {0};
	CHECK(same > fd && lseek(fd, 5, SEEK_SET) == 5 && lseek(same, 0, SEEK_CUR) == 5);
	CHECK(dup2(fd, 50) == 50 && dup2(50, 50) == 50 && lseek(50, 0, SEEK_CUR) == 5);
	CHECK_ERROR(EINVAL, dup3(fd, fd, 0));
	CHECK(dup3(fd, 51, O_CLOEXEC) == 51 && fcntl(51, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(fd, F_DUPFD, 60) == 60 && fcntl(fd, F_DUPFD_CLOEXEC, 60) == 61 && fcntl(61, F_GETFD) == FD_CLOEXEC);
	CHECK_ERROR(EBADF, dup2(1000, 50));
	CHECK(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0 && fcntl(ends[0], F_GETFL) & O_NONBLOCK);
	CHECK_ERROR(EAGAIN, read(ends[0], text, 1));
	CHECK(write(ends[1], "abc", 3) == 3 && ioctl(ends[0], FIONREAD, &fd) == 0 && fd == 3);
	CHECK_ERROR(ESPIPE, lseek(ends[0], 0, SEEK_SET));
	struct termios settings;
	CHECK_ERROR(ENOTTY, tcgetattr(ends[0], &settings));
	CHECK(!isatty(ends[0]));
	for (int i = 50; i < 62; i++)
		close(i);
}

/* Every descriptor that is listed is one that the process has. */
static void listed_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int listed = 0;
	struct dirent *entry;
	CHECK(directory != 0);
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		listed++;
		CHECK(fcntl(atoi(entry->d_name), F_GETFD) >= 0);
	}
	CHECK(listed >= 4);
	closedir(directory);
}

static void locks(void)
{
	int fd = open("data", O_RDWR | O_CREAT, 0600);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = FAR, .l_len = 10};
	CHECK(fcntl(fd, F_SETLK, &lock) == 0);
	lock.l_type = F_RDLCK;
	CHECK(fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK && lock.l_start == FAR);
	CHECK(fcntl(fd, F_SETLKW, &lock) == 0);
	int other = open("data", O_RDWR);
	struct flock own = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = FAR, .l_len = 5};
	CHECK(fcntl(other, F_OFD_SETLK, &own) == 0 || errno == EAGAIN);
	CHECK(flock(fd, LOCK_EX) == 0);
	CHECK_ERROR(EWOULDBLOCK, flock(other, LOCK_EX | LOCK_NB));
	CHECK(flock(fd, LOCK_UN) == 0);
	close(other);
	close(fd);
}

static void terminals(void)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), unlock = 0, number;
	struct winsize size = {.ws_row = 24, .ws_col = 80}, seen;
	struct termios settings, again;
	char name[32], line[16] = {0};
	if (master < 0)
		return;
	CHECK(ioctl(master, TIOCSPTLCK, &unlock) == 0 && ioctl(master, TIOCGPTN, &number) == 0);
	snprintf(name, sizeof name, "/dev/pts/%d", number);
	int slave = open(name, O_RDWR | O_NOCTTY);
	CHECK(slave >= 0 && isatty(slave));
	CHECK(ioctl(slave, TIOCSWINSZ, &size) == 0 && ioctl(slave, TIOCGWINSZ, &seen) == 0 && seen.ws_col == 80);
	CHECK(tcgetattr(slave, &settings) == 0 && (settings.c_lflag & ICANON) && (settings.c_lflag & ECHO));
	CHECK(settings.c_lflag & IEXTEN && !(settings.c_lflag & TOSTOP) && (settings.c_cflag & CSIZE) == CS8);
	CHECK(settings.c_cc[VINTR] == 3 && settings.c_cc[VEOF] == 4 && settings.c_cc[VSUSP] == 26 && settings.c_cc[VERASE] == 127);
	settings.c_lflag = (settings.c_lflag & ~ECHO) | TOSTOP;
	settings.c_cc[VEOF] = 5;
	settings.c_cc[VEOL] = '!';
	CHECK(tcsetattr(slave, TCSANOW, &settings) == 0 && tcgetattr(slave, &again) == 0);
	CHECK(again.c_lflag == settings.c_lflag && again.c_cc[VEOF] == 5 && again.c_cc[VEOL] == '!');
	CHECK(write(master, "in!put\n", 7) == 7 && read(slave, line, sizeof line) == 3 && memcmp(line, "in!", 3) == 0);
	CHECK(write(master, "\005", 1) == 1 && read(slave, line, sizeof line) == 4);
	CHECK(read(slave, line, sizeof line) == 0);
	CHECK(tcflush(slave, TCIOFLUSH) == 0 && tcdrain(slave) == 0);
	close(slave);
	close(master);
}

int main(void)
{
	char place[] = "/tmp/dbt-disco-files-XXXXXX";
	static const char *const left[] = {"file", "link", "data", "copy", "mode"};
	CHECK(mkdtemp(place) == place && chdir(place) == 0);
	opening();
	reading();
	status();
	names();
	duplicates();
	listed_descriptors();
	locks();
	terminals();
	for (unsigned i = 0; i < sizeof left / sizeof *left; i++)
		unlink(left[i]);
	CHECK(chdir("/") == 0 && rmdir(place) == 0);
	return finish();
}
