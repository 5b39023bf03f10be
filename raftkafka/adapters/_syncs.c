/*
 * Threads that wait for the device without Python's lock: see sync_threads.py for who uses them.
 *
 * Floor 4, optional. A thread of Python takes the interpreter's lock from the loop to begin a sync, and again to tell of its end: four
 * switches between threads that a produce waits for. These never touch an object: a job is an array of descriptors; its `token` is
 * given back by `collect`, on the loop's thread, after the descriptor of events has become readable.
 *
 * Invariant: the lists are touched under `mutex` only, and with it nothing is called that may wait for Python's lock.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <structmember.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct Job {
    struct Job *next;
    PyObject *token;
    int error;     /* errno of the first failure, 0 when all went well */
    Py_ssize_t at; /* which descriptor it was */
    Py_ssize_t removed, count;
    int descriptors[]; /* REMOVED once it was synced and has no name any more */
} Job;

enum { REMOVED = -1 };

typedef struct {
    Job *first, **last;
} Queue;

typedef struct {
    PyObject_HEAD
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t *threads;
    Py_ssize_t threads_count, threads_max, under_way;
    Queue waiting, done;
    int ending, events;
    pid_t process; /* that has the threads: a fork has none */
} Syncs;

static void put(Queue *queue, Job *job)
{
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
}

static Job *take(Queue *queue)
{
    Job *job = queue->first;
    if (job != NULL && (queue->first = job->next) == NULL)
        queue->last = &queue->first;
    return job;
}

/* ---- In the threads: no Python here ---- */

static void sync_all(Job *job)
{
    for (job->at = 0; job->at < job->count; job->at++) {
        struct stat file;
        int failed;
        while ((failed = fdatasync(job->descriptors[job->at])) != 0 && errno == EINTR)
            ; /* interrupted before anything was written: not a failure, which must never be tried again */
        if (failed || fstat(job->descriptors[job->at], &file) != 0) {
            job->error = errno;
            return;
        }
        if (file.st_nlink == 0) {
            job->descriptors[job->at] = REMOVED;
            job->removed++;
        }
    }
}

static void *work(void *argument)
{
    Syncs *self = argument;
    uint64_t one = 1;
    pthread_mutex_lock(&self->mutex);
    for (;;) {
        Job *job;
        while ((job = take(&self->waiting)) == NULL && !self->ending)
            pthread_cond_wait(&self->wake, &self->mutex);
        if (job == NULL)
            break;
        pthread_mutex_unlock(&self->mutex);
        sync_all(job);
        pthread_mutex_lock(&self->mutex);
        put(&self->done, job);
        pthread_mutex_unlock(&self->mutex);
        if (write(self->events, &one, sizeof one) < 0) {
            /* Its counter is full: then it is readable already. */
        }
        pthread_mutex_lock(&self->mutex);
    }
    pthread_mutex_unlock(&self->mutex);
    return NULL;
}

/* ---- On the loop's thread ---- */

static int start_thread(Syncs *self)
{
    sigset_t all, before;
    sigfillset(&all); /* signals are for Python's main thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&self->threads[self->threads_count], NULL, work, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        self->threads_count++;
    return failed;
}

static PyObject *submit(Syncs *self, PyObject *arguments)
{
    PyObject *descriptors, *token;
    if (!PyArg_ParseTuple(arguments, "O!O", &PyTuple_Type, &descriptors, &token))
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(descriptors);
    Job *job = PyMem_RawCalloc(1, sizeof(Job) + (size_t)count * sizeof(int));
    if (job == NULL)
        return PyErr_NoMemory();
    job->count = count;
    for (Py_ssize_t at = 0; at < count; at++) {
        long descriptor = PyLong_AsLong(PyTuple_GET_ITEM(descriptors, at));
        if (descriptor < 0 || descriptor > INT_MAX) {
            if (!PyErr_Occurred())
                PyErr_Format(PyExc_OverflowError, "%ld is no descriptor", descriptor);
            PyMem_RawFree(job);
            return NULL;
        }
        job->descriptors[at] = (int)descriptor;
    }
    int failed = self->ending ? ESHUTDOWN : 0;
    if (!failed && self->under_way >= self->threads_count && self->threads_count < self->threads_max) {
        failed = start_thread(self);
        if (failed && self->threads_count > 0)
            failed = 0; /* fewer will do */
    }
    if (failed) {
        PyMem_RawFree(job);
        errno = failed;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    job->token = Py_NewRef(token);
    self->under_way++;
    pthread_mutex_lock(&self->mutex);
    put(&self->waiting, job);
    pthread_mutex_unlock(&self->mutex);
    pthread_cond_signal(&self->wake);
    Py_RETURN_NONE;
}

static PyObject *removed_of(const Job *job)
{
    PyObject *removed = PyTuple_New(job->removed);
    for (Py_ssize_t at = 0, place = 0; removed != NULL && place < job->removed; at++)
        if (job->descriptors[at] == REMOVED) {
            PyObject *number = PyLong_FromSsize_t(at);
            if (number == NULL)
                Py_CLEAR(removed);
            else
                PyTuple_SET_ITEM(removed, place++, number);
        }
    return removed;
}

static PyObject *collect(Syncs *self, PyObject *Py_UNUSED(none))
{
    uint64_t ended;
    PyObject *list = PyList_New(0);
    if (list == NULL)
        return NULL;
    if (read(self->events, &ended, sizeof ended) < 0 && errno != EAGAIN && errno != EINTR) {
        Py_DECREF(list);
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    for (;;) {
        pthread_mutex_lock(&self->mutex);
        Job *job = take(&self->done);
        pthread_mutex_unlock(&self->mutex);
        if (job == NULL)
            return list;
        self->under_way--;
        PyObject *removed = removed_of(job), *row = NULL;
        if (removed != NULL)
            row = Py_BuildValue("OinN", job->token, job->error, job->at, removed);
        Py_DECREF(job->token);
        PyMem_RawFree(job);
        if (row == NULL || PyList_Append(list, row) < 0) {
            Py_XDECREF(row);
            Py_DECREF(list);
            return NULL;
        }
        Py_DECREF(row);
    }
}

static void end_threads(Syncs *self)
{
    if (self->threads_count == 0 || self->process != getpid()) {
        self->ending = 1;
        return;
    }
    pthread_mutex_lock(&self->mutex);
    self->ending = 1;
    pthread_mutex_unlock(&self->mutex);
    pthread_cond_broadcast(&self->wake);
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t at = 0; at < self->threads_count; at++)
        pthread_join(self->threads[at], NULL);
    Py_END_ALLOW_THREADS
    self->threads_count = 0;
}

static PyObject *finish(Syncs *self, PyObject *Py_UNUSED(none))
{
    end_threads(self);
    return collect(self, NULL);
}

static PyObject *file_number(Syncs *self, PyObject *Py_UNUSED(none))
{
    return PyLong_FromLong(self->events);
}

/* ---- The type ---- */

static PyObject *syncs_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"threads", NULL};
    Py_ssize_t threads_max;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "n", names, &threads_max))
        return NULL;
    if (threads_max < 1 || threads_max > 1024) {
        PyErr_SetString(PyExc_ValueError, "threads is between 1 and 1024");
        return NULL;
    }
    Syncs *self = (Syncs *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->waiting.last = &self->waiting.first;
    self->done.last = &self->done.first;
    self->threads_max = threads_max;
    self->process = getpid();
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->wake, NULL);
    self->events = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->threads = PyMem_RawCalloc((size_t)threads_max, sizeof(pthread_t));
    if (self->events < 0 || self->threads == NULL) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void syncs_dealloc(Syncs *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Job *job;
    end_threads(self);
    while ((job = take(&self->done)) != NULL) {
        Py_DECREF(job->token);
        PyMem_RawFree(job);
    }
    if (self->events >= 0)
        close(self->events);
    PyMem_RawFree(self->threads);
    pthread_cond_destroy(&self->wake);
    pthread_mutex_destroy(&self->mutex);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef syncs_methods[] = {
    {"submit", (PyCFunction)submit, METH_VARARGS, "submit(descriptors, token): fdatasync of each, in this order, up to the first that fails."},
    {"collect", (PyCFunction)collect, METH_NOARGS, "What has ended: (token, errno or 0, which descriptor, those removed) each."},
    {"finish", (PyCFunction)finish, METH_NOARGS, "Wait for all that was submitted, end the threads, and `collect`."},
    {"fileno", (PyCFunction)file_number, METH_NOARGS, "Readable when there is something to collect."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot syncs_slots[] = {
    {Py_tp_new, syncs_new}, {Py_tp_dealloc, syncs_dealloc}, {Py_tp_methods, syncs_methods}, {0, NULL}};

static PyType_Spec syncs_spec = {
    .name = "raftkafka.adapters._syncs.Syncs", .basicsize = sizeof(Syncs), .flags = Py_TPFLAGS_DEFAULT, .slots = syncs_slots};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "raftkafka.adapters._syncs",
    .m_doc = "Threads for fdatasync that run no Python; see sync_threads.py.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit__syncs(void)
{
    PyObject *module = PyModule_Create(&definition);
    PyObject *type = module == NULL ? NULL : PyType_FromSpec(&syncs_spec);
    if (type == NULL || PyModule_AddObjectRef(module, "Syncs", type) < 0)
        Py_CLEAR(module);
    Py_XDECREF(type);
    return module;
}
