/*
 * The step of a producer that is taken for every record, compiled: see appending.py for what it does.
 *
 * Floor 3, optional. `Appender` takes the plain case and gives None for everything else, as the class in Python does; both are held
 * equal by tests. The counters that it moves are those of `Filling`, `Room` and `Sticky`, which Python reads and writes as attributes.
 *
 * Invariants: whatever may run Python code (a clock, an allocation that starts the garbage collector) comes before the first check, so
 * that what was checked is still true when it is used; and nothing is counted unless everything is.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <structmember.h>
#include <time.h>

#define RECORD_OVERHEAD_MAX 36 /* as in build.py; a test holds them equal */

/* ---- What is counted ---- */

typedef struct {
    PyObject_HEAD
    PyObject *records, *encoded, *outcome;
    Py_ssize_t size_bytes;
} Filling;

static int filling_traverse(Filling *self, visitproc visit, void *arg)
{
    Py_VISIT(self->records);
    Py_VISIT(self->encoded);
    Py_VISIT(self->outcome);
    return 0;
}

static int filling_clear(Filling *self)
{
    Py_CLEAR(self->records);
    Py_CLEAR(self->encoded);
    Py_CLEAR(self->outcome);
    return 0;
}

static void filling_dealloc(Filling *self)
{
    PyObject_GC_UnTrack(self);
    filling_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMemberDef filling_members[] = {
    {"records", T_OBJECT_EX, offsetof(Filling, records), 0, NULL},
    {"encoded", T_OBJECT_EX, offsetof(Filling, encoded), 0, NULL},
    {"outcome", T_OBJECT_EX, offsetof(Filling, outcome), 0, NULL},
    {"size_bytes", T_PYSSIZET, offsetof(Filling, size_bytes), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject filling_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "raftkafka.client._fast.Filling",
    .tp_basicsize = sizeof(Filling),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_dealloc = (destructor)filling_dealloc,
    .tp_traverse = (traverseproc)filling_traverse,
    .tp_clear = (inquiry)filling_clear,
    .tp_members = filling_members,
};

typedef struct {
    PyObject_HEAD
    PyObject *waiters;
    Py_ssize_t used_bytes, max_bytes;
} Room;

static int room_traverse(Room *self, visitproc visit, void *arg)
{
    Py_VISIT(self->waiters);
    return 0;
}

static int room_clear(Room *self)
{
    Py_CLEAR(self->waiters);
    return 0;
}

static void room_dealloc(Room *self)
{
    PyObject_GC_UnTrack(self);
    room_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMemberDef room_members[] = {
    {"waiters", T_OBJECT_EX, offsetof(Room, waiters), 0, NULL},
    {"used_bytes", T_PYSSIZET, offsetof(Room, used_bytes), 0, NULL},
    {"max_bytes", T_PYSSIZET, offsetof(Room, max_bytes), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject room_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "raftkafka.client._fast.Room",
    .tp_basicsize = sizeof(Room),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_dealloc = (destructor)room_dealloc,
    .tp_traverse = (traverseproc)room_traverse,
    .tp_clear = (inquiry)room_clear,
    .tp_members = room_members,
};

typedef struct {
    PyObject_HEAD
    Py_ssize_t current, given_bytes, switch_bytes;
} Sticky;

static PyMemberDef sticky_members[] = {
    {"current", T_PYSSIZET, offsetof(Sticky, current), 0, NULL},
    {"given_bytes", T_PYSSIZET, offsetof(Sticky, given_bytes), 0, NULL},
    {"switch_bytes", T_PYSSIZET, offsetof(Sticky, switch_bytes), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject sticky_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "raftkafka.client._fast.Sticky",
    .tp_basicsize = sizeof(Sticky),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_new = PyType_GenericNew,
    .tp_members = sticky_members,
};

/* ---- Appending ---- */

typedef struct {
    PyObject_HEAD
    PyObject *waiting; /* an exact deque, as the room's waiters have to be */
    Room *room;
    Sticky *sticky; /* NULL for a partition that the application names */
    PyTypeObject *delivery;
    PyObject *now_ms; /* NULL for the clock of this machine */
    PyObject *deque, *no_headers, *time;
    int64_t time_ms; /* what `time` says */
    Py_ssize_t partition, batch_bytes, outcome_at, index_at;
} Appender;

static int appender_traverse(Appender *self, visitproc visit, void *arg)
{
    Py_VISIT(self->waiting);
    Py_VISIT(self->room);
    Py_VISIT(self->sticky);
    Py_VISIT(self->delivery);
    Py_VISIT(self->now_ms);
    Py_VISIT(self->deque);
    Py_VISIT(self->no_headers);
    return 0;
}

static int appender_clear(Appender *self)
{
    Py_CLEAR(self->waiting);
    Py_CLEAR(self->room);
    Py_CLEAR(self->sticky);
    Py_CLEAR(self->delivery);
    Py_CLEAR(self->now_ms);
    Py_CLEAR(self->deque);
    Py_CLEAR(self->no_headers);
    Py_CLEAR(self->time);
    return 0;
}

static void appender_dealloc(Appender *self)
{
    PyObject_GC_UnTrack(self);
    appender_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Where the slot of that name lies in an instance; -1 with an exception. */
static Py_ssize_t slot_of(PyTypeObject *type, const char *name)
{
    PyObject *descriptor = PyObject_GetAttrString((PyObject *)type, name);
    Py_ssize_t at = -1;

    if (descriptor == NULL)
        return -1;
    if (Py_TYPE(descriptor) == &PyMemberDescr_Type) {
        PyMemberDescrObject *slot = (PyMemberDescrObject *)descriptor;
        if (slot->d_member->type == T_OBJECT_EX && PyType_IsSubtype(type, slot->d_common.d_type))
            at = slot->d_member->offset;
    }
    Py_DECREF(descriptor);
    if (at < (Py_ssize_t)sizeof(PyObject) || at + (Py_ssize_t)sizeof(PyObject *) > type->tp_basicsize) {
        PyErr_Format(PyExc_TypeError, "%s has no slot %s", type->tp_name, name);
        return -1;
    }
    return at;
}

static PyObject *appender_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    static char *keywords[] = {"waiting", "room", "sticky", "partition", "batch_bytes", "delivery", "now_ms", NULL};
    PyObject *waiting, *room, *sticky, *delivery, *now_ms, *collections;
    Py_ssize_t partition, batch_bytes;
    Appender *self;

    if (!PyArg_ParseTupleAndKeywords(arguments, names, "OO!OnnO!O", keywords, &waiting, &room_type, &room, &sticky,
                                     &partition, &batch_bytes, &PyType_Type, &delivery, &now_ms))
        return NULL;
    if (sticky != Py_None && !PyObject_TypeCheck(sticky, &sticky_type)) {
        PyErr_SetString(PyExc_TypeError, "sticky is a Sticky or None");
        return NULL;
    }
    if ((self = (Appender *)type->tp_alloc(type, 0)) == NULL)
        return NULL;
    self->waiting = Py_NewRef(waiting);
    self->room = (Room *)Py_NewRef(room);
    self->sticky = sticky == Py_None ? NULL : (Sticky *)Py_NewRef(sticky);
    self->delivery = (PyTypeObject *)Py_NewRef(delivery);
    self->now_ms = now_ms == Py_None ? NULL : Py_NewRef(now_ms);
    self->partition = partition;
    self->batch_bytes = batch_bytes;
    if ((self->no_headers = PyTuple_New(0)) == NULL)
        goto fail;
    if ((collections = PyImport_ImportModule("collections")) == NULL)
        goto fail;
    self->deque = PyObject_GetAttrString(collections, "deque");
    Py_DECREF(collections);
    if (self->deque == NULL)
        goto fail;
    if ((PyObject *)Py_TYPE(waiting) != self->deque) {
        PyErr_SetString(PyExc_TypeError, "waiting is a deque");
        goto fail;
    }
    if ((self->outcome_at = slot_of(self->delivery, "outcome")) < 0 ||
        (self->index_at = slot_of(self->delivery, "index")) < 0)
        goto fail;
    return (PyObject *)self;
fail:
    Py_DECREF(self);
    return NULL;
}

/* A new reference to the time in milliseconds since the epoch. */
static PyObject *time_now(Appender *self)
{
    struct timespec now;
    int64_t now_ms;

    if (self->now_ms != NULL)
        return PyObject_CallNoArgs(self->now_ms);
    if (timespec_get(&now, TIME_UTC) != TIME_UTC) {
        PyErr_SetString(PyExc_OSError, "there is no clock");
        return NULL;
    }
    now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (self->time == NULL || self->time_ms != now_ms) {
        PyObject *time = PyLong_FromLongLong(now_ms);
        if (time == NULL)
            return NULL;
        Py_XSETREF(self->time, time);
        self->time_ms = now_ms;
    }
    return Py_NewRef(self->time);
}

/* A borrowed batch that has room for `bytes` more, none of which concern anybody else; NULL for the longer way. */
static Filling *open_batch(Appender *self, Py_ssize_t bytes)
{
    PyObject *last;
    Filling *batch;
    Py_ssize_t count = Py_SIZE(self->waiting);
    Room *room = self->room;
    Sticky *sticky = self->sticky;

    if (sticky != NULL && (sticky->current != self->partition || sticky->given_bytes >= sticky->switch_bytes))
        return NULL;
    if (room->waiters == NULL || (PyObject *)Py_TYPE(room->waiters) != self->deque || Py_SIZE(room->waiters) != 0)
        return NULL;
    if (bytes > room->max_bytes || room->used_bytes < 0 || room->used_bytes > room->max_bytes - bytes)
        return NULL;
    if (count == 0)
        return NULL;
    if ((last = PySequence_GetItem(self->waiting, count - 1)) == NULL) {
        PyErr_Clear();
        return NULL;
    }
    Py_DECREF(last); /* the deque holds it, and nothing runs until it is used */
    if (!PyObject_TypeCheck(last, &filling_type))
        return NULL;
    batch = (Filling *)last;
    if (batch->encoded != Py_None || batch->outcome == NULL || batch->records == NULL ||
        !PyList_CheckExact(batch->records))
        return NULL;
    if (bytes >= self->batch_bytes || batch->size_bytes < 0 || batch->size_bytes >= self->batch_bytes - bytes)
        return NULL;
    return batch;
}

static PyObject *appender_call(Appender *self, PyObject *arguments, PyObject *names)
{
    PyObject *value, *time, *record, *delivery, *index;
    Filling *batch;
    Py_ssize_t bytes;

    if ((names != NULL && PyDict_GET_SIZE(names) != 0) || PyTuple_GET_SIZE(arguments) != 1) {
        PyErr_SetString(PyExc_TypeError, "an Appender takes one value");
        return NULL;
    }
    value = PyTuple_GET_ITEM(arguments, 0);
    if (!PyBytes_CheckExact(value) || PyBytes_GET_SIZE(value) > INT32_MAX)
        Py_RETURN_NONE;
    bytes = RECORD_OVERHEAD_MAX + PyBytes_GET_SIZE(value);
    if (open_batch(self, bytes) == NULL) /* cheap to know before anything is made; it is asked again below */
        Py_RETURN_NONE;
    if ((time = time_now(self)) == NULL)
        return NULL;
    if (!PyLong_CheckExact(time)) {
        Py_DECREF(time);
        Py_RETURN_NONE;
    }
    record = PyTuple_Pack(4, Py_None, value, time, self->no_headers);
    Py_DECREF(time);
    if (record == NULL)
        return NULL;
    if ((delivery = self->delivery->tp_alloc(self->delivery, 0)) == NULL) {
        Py_DECREF(record);
        return NULL;
    }
    if ((batch = open_batch(self, bytes)) == NULL) {
        Py_DECREF(record);
        Py_DECREF(delivery);
        Py_RETURN_NONE;
    }
    if ((index = PyLong_FromSsize_t(PyList_GET_SIZE(batch->records))) == NULL) {
        Py_DECREF(record);
        Py_DECREF(delivery);
        return NULL;
    }
    *(PyObject **)((char *)delivery + self->index_at) = index;
    *(PyObject **)((char *)delivery + self->outcome_at) = Py_NewRef(batch->outcome);
    if (PyList_Append(batch->records, record) < 0) {
        Py_DECREF(record);
        Py_DECREF(delivery);
        return NULL;
    }
    Py_DECREF(record);
    batch->size_bytes += bytes;
    self->room->used_bytes += bytes;
    if (self->sticky != NULL && self->sticky->given_bytes <= PY_SSIZE_T_MAX - bytes)
        self->sticky->given_bytes += bytes;
    return delivery;
}

PyDoc_STRVAR(appender_doc, "Appender(waiting, room, sticky, partition, batch_bytes, delivery, now_ms)\n\n"
                           "See appending.py.");

static PyTypeObject appender_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "raftkafka.client._fast.Appender",
    .tp_basicsize = sizeof(Appender),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_doc = appender_doc,
    .tp_new = appender_new,
    .tp_dealloc = (destructor)appender_dealloc,
    .tp_traverse = (traverseproc)appender_traverse,
    .tp_clear = (inquiry)appender_clear,
    .tp_call = (ternaryfunc)appender_call,
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "raftkafka.client._fast",
    .m_doc = "The step of a producer that is taken for every record, compiled; see appending.py for what it does.",
    .m_size = 0,
};

PyMODINIT_FUNC PyInit__fast(void)
{
    PyObject *module = PyModule_Create(&definition);

    if (module == NULL)
        return NULL;
    if (PyModule_AddType(module, &filling_type) < 0 || PyModule_AddType(module, &room_type) < 0 ||
        PyModule_AddType(module, &sticky_type) < 0 || PyModule_AddType(module, &appender_type) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
