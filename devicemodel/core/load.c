// SPDX-License-Identifier: BSD-3-Clause
/*
 * Files into guest memory, straight from the page cache: no copy in between.
 * Used by the loaders of the kernel formats, on the main thread.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmem.h"
#include "log.h"

int load_open(const char *what, const char *path, uint64_t *size)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0) {
		err = -errno;
		log_err("cannot open the %s %s: %s", what, path, strerror(errno));
		return err;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		log_err("the %s %s is not a regular file", what, path);
		close(fd);
		return -EINVAL;
	}
	*size = (uint64_t)st.st_size;
	return fd;
}

int load_file(struct vm *vm, const char *path, int fd, uint64_t offset, uint64_t gpa, uint64_t len)
{
	uint8_t *to = gmem_ptr(vm, gpa, len);

	if (!to) {
		log_err("%s does not fit into the VM's memory", path);
		return -ENOSPC;
	}
	while (len > 0) {
		ssize_t n = pread(fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log_err("cannot read %s: %s", path,
				n < 0 ? strerror(errno) : "it became shorter");
			return n < 0 ? -errno : -EIO;
		}
		to += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}
