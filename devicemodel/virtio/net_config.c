// SPDX-License-Identifier: BSD-3-Clause
/*
 * The options of virtio-net: which tap or network without set-up, which address, how many queues.
 * Called by net.c while the VM is made; opens nothing, keeps no state, takes no lock.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "net.h"
#include "vm.h"

bool net_mac_valid(const uint8_t mac[ETH_ALEN])
{
	/* A group address is nobody's, and all zeros is none. */
	return (mac[0] & 1) == 0 && memcmp(mac, "\0\0\0\0\0\0", ETH_ALEN) != 0;
}

/* Xen's prefix, as ACRN uses it, and a hash of what is unique to the VM or given by the user. */
static void make_mac(uint8_t *mac, const char *device, const char *seed)
{
	uint32_t hash = 0x811C9DC5;
	char text[128];

	snprintf(text, sizeof(text), "%s-%s", device, seed);
	for (const char *c = text; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * 0x01000193;
	memcpy(mac, "\x00\x16\x3E", 3);
	for (unsigned int i = 0; i < 3; i++)
		mac[3 + i] = (uint8_t)(hash >> (8 * i));
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static int parse_mac(uint8_t *mac, const char *text)
{
	if (strlen(text) != 3 * ETH_ALEN - 1)
		return -EINVAL;
	for (unsigned int i = 0; i < ETH_ALEN; i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i + 1 < ETH_ALEN && text[3 * i + 2] != ':'))
			return -EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return net_mac_valid(mac) ? 0 : -EINVAL;
}

/* 1 to NET_PAIRS_MAX in decimal digits, else 0. */
static unsigned int parse_pairs(const char *text)
{
	unsigned int n = 0;

	for (; *text >= '0' && *text <= '9' && n <= NET_PAIRS_MAX; text++)
		n = n * 10 + (unsigned int)(*text - '0');
	return *text == '\0' && n <= NET_PAIRS_MAX ? n : 0;
}

static int parse_word(const char *name, char *word, struct net_options *o, bool *user)
{
	if (strncmp(word, "tap=", 4) == 0) {
		o->tap = word + 4;
	} else if (strcmp(word, "user") == 0) {
		*user = true;
	} else if (strncmp(word, "hostfwd=", 8) == 0) {
		if (o->forward_count == USERNET_FORWARDS) {
			log_err("%s: more than %u hostfwd=", name, USERNET_FORWARDS);
			return -EINVAL;
		}
		o->forwards[o->forward_count++] = word;
	} else if (strcmp(word, "vhost") == 0) {
		o->vhost = true;
	} else if (strncmp(word, "queues=", 7) == 0) {
		o->pairs = parse_pairs(word + 7);
		if (o->pairs == 0) {
			log_err("%s: %s: there are 1 to %u pairs of queues", name, word,
				NET_PAIRS_MAX);
			return -EINVAL;
		}
	} else if (strncmp(word, "mac_seed=", 9) == 0) {
		make_mac(o->mac, name, word + 9);
	} else if (strncmp(word, "mac=", 4) == 0) {
		if (parse_mac(o->mac, word + 4) < 0) {
			log_err("%s: %s is no address of a station, like mac=00:16:3e:01:02:03",
				name, word);
			return -EINVAL;
		}
	} else if (word[0] != '\0') {
		log_err("%s: unknown option \"%s\"; there are tap=, vhost, queues=, user, "
			"hostfwd=, "
			"mac= and mac_seed=",
			name, word);
		return -EINVAL;
	}
	return 0;
}

/* (tap=name[,vhost][,queues=n]|user[,hostfwd=...])[,mac=xx:xx:xx:xx:xx:xx|,mac_seed=text] */
int net_options_parse(const struct virtio_dev *dev, const char *config, struct net_options *o)
{
	const char *name = dev->name;
	char *rest, *word;
	bool user = false;
	int ret = 0;

	*o = (struct net_options) {.pairs = 1};
	rest = o->text;
	if (snprintf(o->text, sizeof(o->text), "%s", config != NULL ? config : "") >=
	    (int)sizeof(o->text)) {
		log_err("%s: configuration is too long", name);
		return -EINVAL;
	}
	make_mac(o->mac, name, dev->vm->cfg.name != NULL ? dev->vm->cfg.name : "");
	while (ret == 0 && (word = strsep(&rest, ",")) != NULL)
		ret = parse_word(name, word, o, &user);
	if (ret == 0 && (o->tap == NULL ? !user : o->tap[0] == '\0')) {
		log_err("%s: no tap given: the form is virtio-net,tap=name[,vhost][,mac=address], "
			"or "
			"virtio-net,user[,hostfwd=tcp:[address]:port-[guest]:port][,mac=address]",
			name);
		ret = -EINVAL;
	} else if (ret == 0 && o->tap != NULL && (user || o->forward_count != 0)) {
		log_err("%s: tap=, or user with its hostfwd=: it is one or the other", name);
		ret = -EINVAL;
	} else if (ret == 0 && user && (o->pairs > 1 || o->vhost)) {
		log_err("%s: only a tap has several queues, or vhost", name);
		ret = -EINVAL;
	}
	return ret;
}
