/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LIB_LIST_H
#define LIB_LIST_H

#include "lib/types.h"

/* A circular doubly linked list; an entry not on any list points to itself. */
struct list {
	struct list *next;
	struct list *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/* Insert `e` before `at` (at the tail when `at` is the head). */
static inline void list_insert_before(struct list *e, struct list *at)
{
	e->prev = at->prev;
	e->next = at;
	at->prev->next = e;
	at->prev = e;
}

static inline void list_remove(struct list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	list_init(e);
}

#define list_for_each(it, head) for ((it) = (head)->next; (it) != (head); (it) = (it)->next)

#endif
