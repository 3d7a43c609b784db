// SPDX-License-Identifier: BSD-3-Clause
/*
 * Formatted output into a buffer, the subset of C99 that the log and the boot report use. Called
 * by debug/log.c, boot/report.c and panic; takes no lock, has no state, never writes past the
 * buffer. An unknown conversion is copied as it stands, so that a mistake can be seen.
 */
#include "lib/printf.h"
#include "lib/string.h"

struct out {
	char *buf;
	size_t size;
	size_t len;
};

struct spec {
	bool left;
	bool zero;
	int width;
	int precision; /* -1: none */
	int longs;
};

static void put(struct out *o, char c)
{
	if (o->len + 1U < o->size) {
		o->buf[o->len] = c;
	}
	o->len++;
}

static void put_field(struct out *o, const struct spec *s, const char *prefix, const char *text,
		      size_t len)
{
	size_t plen = strlen(prefix);
	int pad = s->width - (int)(plen + len);

	for (; !s->left && !s->zero && pad > 0; pad--) {
		put(o, ' ');
	}
	while (*prefix != '\0') {
		put(o, *prefix++);
	}
	for (; !s->left && s->zero && pad > 0; pad--) {
		put(o, '0');
	}
	for (size_t i = 0U; i < len; i++) {
		put(o, text[i]);
	}
	for (; pad > 0; pad--) {
		put(o, ' ');
	}
}

static void put_number(struct out *o, const struct spec *s, uint64_t v, uint32_t base, bool upper,
		       const char *prefix)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[24];
	size_t i = sizeof(text);

	do {
		text[--i] = digits[v % base];
		v /= base;
	} while (v != 0U);
	put_field(o, s, prefix, &text[i], sizeof(text) - i);
}

static const char *parse_spec(const char *f, struct spec *s, va_list *ap)
{
	*s = (struct spec){.precision = -1};
	for (; *f == '-' || *f == '0'; f++) {
		s->left = s->left || (*f == '-');
		s->zero = s->zero || (*f == '0');
	}
	if (*f == '*') {
		s->width = va_arg(*ap, int);
		if (s->width < 0) { /* as C99 has it: the - flag and the width */
			s->left = true;
			s->width = -s->width;
		}
		f++;
	}
	for (; *f >= '0' && *f <= '9'; f++) {
		s->width = s->width * 10 + (*f - '0');
	}
	if (*f == '.') {
		f++;
		s->precision = 0;
		if (*f == '*') {
			s->precision = va_arg(*ap, int);
			f++;
		}
		for (; *f >= '0' && *f <= '9'; f++) {
			s->precision = s->precision * 10 + (*f - '0');
		}
	}
	for (; *f == 'l' || *f == 'z' || *f == 'h'; f++) {
		s->longs += (*f == 'h') ? 0 : 1;
	}
	return f;
}

static uint64_t arg_unsigned(const struct spec *s, va_list *ap)
{
	return (s->longs != 0) ? va_arg(*ap, uint64_t) : va_arg(*ap, uint32_t);
}

static void put_signed(struct out *o, const struct spec *s, va_list *ap)
{
	int64_t v = (s->longs != 0) ? va_arg(*ap, int64_t) : va_arg(*ap, int32_t);
	uint64_t magnitude = (v < 0) ? 0U - (uint64_t)v : (uint64_t)v;

	put_number(o, s, magnitude, 10U, false, (v < 0) ? "-" : "");
}

static void put_string(struct out *o, struct spec *s, const char *text)
{
	if (text == NULL) {
		text = "(null)";
	}
	s->zero = false;
	put_field(o, s, "", text,
		  strnlen(text, (s->precision < 0) ? SIZE_MAX : (size_t)s->precision));
}

static void convert(struct out *o, char conv, struct spec *s, va_list *ap)
{
	char c;

	switch (conv) {
	case 'd':
	case 'i':
		put_signed(o, s, ap);
		break;
	case 'u':
		put_number(o, s, arg_unsigned(s, ap), 10U, false, "");
		break;
	case 'x':
	case 'X':
		put_number(o, s, arg_unsigned(s, ap), 16U, conv == 'X', "");
		break;
	case 'p':
		put_number(o, s, (uintptr_t)va_arg(*ap, void *), 16U, false, "0x");
		break;
	case 's':
		put_string(o, s, va_arg(*ap, const char *));
		break;
	case 'c':
		c = (char)va_arg(*ap, int);
		put_field(o, s, "", &c, 1U);
		break;
	default:
		put(o, '%');
		if (conv != '%') {
			put(o, conv);
		}
		break;
	}
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = {.buf = buf, .size = size};
	struct spec s;
	va_list args;

	va_copy(args, ap);
	for (; *fmt != '\0'; fmt++) {
		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		fmt = parse_spec(fmt + 1, &s, &args);
		if (*fmt == '\0') {
			break;
		}
		convert(&o, *fmt, &s, &args);
	}
	va_end(args);
	if (size != 0U) {
		buf[MIN(o.len, size - 1U)] = '\0';
	}
	return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
