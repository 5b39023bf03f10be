/*
 * Makes passing values without running Python code: see passing.py for what they are.
 *
 * Floor 0, optional. `quicken` gives a class a vectorcall of its own, which Python takes where the class is called, instead of
 * `__new__` and `__init__` (or the `__new__` of a named tuple, a Python function as well). The result is the same object; what is not
 * plain (an argument too many, too few or unknown, a name that is not interned) is left to the general way, which knows the right error.
 *
 * Invariant: the class's own `__init__` or `__new__` does nothing but store its arguments; who calls `quicken` answers for that.
 *
 * An object made here is what `type(...)` of these versions makes of the same arguments, field by field. Another version may keep more
 * in an object (a tuple of 3.14 has its hash in it), so it is refused until somebody has looked: the extension is optional.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <structmember.h>

#if PY_VERSION_HEX < 0x030B0000 || PY_VERSION_HEX >= 0x030E0000 || defined(PYPY_VERSION) || defined(Py_GIL_DISABLED)
#error "passing values are made in Python here: this is for CPython 3.11 to 3.13 with its lock"
#endif

/* ---- Where the fields of a class lie ---- */

typedef struct {
    Py_ssize_t count;      /* fields */
    Py_ssize_t positional; /* how many of them may be given without their names */
    Py_ssize_t items;      /* what the allocator has to be told: the length of a tuple, 0 for slots */
    PyObject *names;       /* a tuple of interned str */
    PyObject *defaults;    /* a tuple; `missing` where there is none */
    PyObject *missing;
    Py_ssize_t offsets[]; /* of each field, in bytes from the start of the object */
} Layout;

static const char LAYOUT[] = "raftkafka.layout";
static PyObject *layout_key;

static void layout_free(PyObject *capsule)
{
    Layout *layout = PyCapsule_GetPointer(capsule, LAYOUT);
    if (layout == NULL) {
        PyErr_Clear();
        return;
    }
    Py_XDECREF(layout->names);
    Py_XDECREF(layout->defaults);
    Py_XDECREF(layout->missing);
    PyMem_Free(layout);
}

static PyObject **field_of(PyObject *self, const Layout *layout, Py_ssize_t at)
{
    return (PyObject **)((char *)self + layout->offsets[at]);
}

/* ---- Making one ---- */

static PyObject *make_generally(PyObject *type, PyObject *const *arguments, Py_ssize_t given, PyObject *names)
{
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    PyObject *made = NULL, *keywords = NULL, *rest = PyTuple_New(given);
    if (rest == NULL)
        return NULL;
    for (Py_ssize_t at = 0; at < given; at++)
        PyTuple_SET_ITEM(rest, at, Py_NewRef(arguments[at]));
    keywords = PyDict_New();
    if (keywords == NULL)
        goto done;
    for (Py_ssize_t at = 0; at < named; at++)
        if (PyDict_SetItem(keywords, PyTuple_GET_ITEM(names, at), arguments[given + at]) < 0)
            goto done;
    made = PyType_Type.tp_call(type, rest, keywords);
done:
    Py_DECREF(rest);
    Py_XDECREF(keywords);
    return made;
}

/* The field of this name, looked for from `from` on: names mostly come in the order of the fields. -1: there is none. */
static Py_ssize_t find_field(const Layout *layout, PyObject *name, Py_ssize_t from)
{
    for (Py_ssize_t at = from; at < layout->count; at++)
        if (PyTuple_GET_ITEM(layout->names, at) == name)
            return at;
    for (Py_ssize_t at = 0; at < from; at++)
        if (PyTuple_GET_ITEM(layout->names, at) == name)
            return at;
    return -1;
}

static int fill(PyObject *self, const Layout *layout, PyObject *const *arguments, Py_ssize_t given, PyObject *names)
{
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names), next = given;
    for (Py_ssize_t at = 0; at < given; at++)
        *field_of(self, layout, at) = Py_NewRef(arguments[at]);
    for (Py_ssize_t at = 0; at < named; at++) {
        Py_ssize_t field = find_field(layout, PyTuple_GET_ITEM(names, at), next);
        if (field < 0 || *field_of(self, layout, field) != NULL)
            return 0;
        *field_of(self, layout, field) = Py_NewRef(arguments[given + at]);
        next = field + 1;
    }
    if (given + named == layout->count)
        return 1;
    for (Py_ssize_t at = given; at < layout->count; at++) {
        PyObject **field = field_of(self, layout, at), *standard = PyTuple_GET_ITEM(layout->defaults, at);
        if (*field != NULL)
            continue;
        if (standard == layout->missing)
            return 0;
        *field = Py_NewRef(standard);
    }
    return 1;
}

/* NULL without an error: leave it to the general way. */
static PyObject *make_plainly(PyTypeObject *type, const Layout *layout, PyObject *const *arguments, Py_ssize_t given, PyObject *names)
{
    if (given > layout->positional)
        return NULL;
    PyObject *self = type->tp_alloc(type, layout->items);
    if (self != NULL && !fill(self, layout, arguments, given, names))
        Py_CLEAR(self);
    return self;
}

static PyObject *make(PyObject *called, PyObject *const *arguments, size_t flags, PyObject *names)
{
    PyTypeObject *type = (PyTypeObject *)called;
    Py_ssize_t given = PyVectorcall_NARGS(flags);
    PyObject *made = NULL, *capsule = PyDict_GetItemWithError(type->tp_dict, layout_key);
    if (capsule != NULL && PyCapsule_CheckExact(capsule)) {
        const Layout *layout = PyCapsule_GetPointer(capsule, LAYOUT);
        if (layout == NULL)
            return NULL;
        /* Held: making room may run the collector, and that anything, even what takes the capsule from the class. */
        Py_INCREF(capsule);
        made = make_plainly(type, layout, arguments, given, names);
        Py_DECREF(capsule);
    }
    return made != NULL || PyErr_Occurred() ? made : make_generally(called, arguments, given, names);
}

/* ---- Taking a class in ---- */

static int find_offsets(PyTypeObject *type, Layout *layout)
{
    for (Py_ssize_t at = 0; at < layout->count; at++) {
        PyObject *name = PyTuple_GET_ITEM(layout->names, at);
        if (layout->items > 0) {
            layout->offsets[at] = (Py_ssize_t)(offsetof(PyTupleObject, ob_item) + at * sizeof(PyObject *));
            continue;
        }
        PyObject *member = PyObject_GetAttr((PyObject *)type, name);
        if (member == NULL)
            return -1;
        int fits = Py_IS_TYPE(member, &PyMemberDescr_Type);
        if (fits) {
            const PyMemberDef *slot = ((PyMemberDescrObject *)member)->d_member;
            fits = slot->type == T_OBJECT_EX;
            layout->offsets[at] = slot->offset;
        }
        Py_DECREF(member);
        if (!fits) {
            PyErr_Format(PyExc_TypeError, "%s.%U is not a slot", type->tp_name, name);
            return -1;
        }
    }
    return 0;
}

static PyObject *quicken(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyTypeObject *type;
    PyObject *names, *defaults, *missing;
    Py_ssize_t positional;
    if (!PyArg_ParseTuple(arguments, "O!O!nO!O", &PyType_Type, &type, &PyTuple_Type, &names, &positional, &PyTuple_Type,
                          &defaults, &missing))
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(names);
    int is_tuple = PyType_IsSubtype(type, &PyTuple_Type);
    if (!Py_IS_TYPE(type, &PyType_Type) || !(type->tp_flags & Py_TPFLAGS_HEAPTYPE) || count < 1 ||
        PyTuple_GET_SIZE(defaults) != count || positional < 0 || positional > count ||
        (!is_tuple && (type->tp_itemsize != 0 || type->tp_dictoffset != 0)) || type->tp_vectorcall != NULL) {
        PyErr_Format(PyExc_TypeError, "%s is not a class of this kind", type->tp_name);
        return NULL;
    }
    for (Py_ssize_t at = 0; at < count; at++)
        if (!PyUnicode_CheckExact(PyTuple_GET_ITEM(names, at)) || !PyUnicode_CHECK_INTERNED(PyTuple_GET_ITEM(names, at))) {
            PyErr_SetString(PyExc_TypeError, "names are interned strings");
            return NULL;
        }
    Layout *layout = PyMem_Calloc(1, sizeof(Layout) + (size_t)count * sizeof(Py_ssize_t));
    if (layout == NULL)
        return PyErr_NoMemory();
    layout->count = count;
    layout->positional = positional;
    layout->items = is_tuple ? count : 0;
    layout->names = Py_NewRef(names);
    layout->defaults = Py_NewRef(defaults);
    layout->missing = Py_NewRef(missing);
    PyObject *capsule = PyCapsule_New(layout, LAYOUT, layout_free);
    if (capsule == NULL) {
        Py_DECREF(names);
        Py_DECREF(defaults);
        Py_DECREF(missing);
        PyMem_Free(layout);
        return NULL;
    }
    if (find_offsets(type, layout) < 0 || PyObject_SetAttr((PyObject *)type, layout_key, capsule) < 0) {
        Py_DECREF(capsule);
        return NULL;
    }
    Py_DECREF(capsule);
    type->tp_vectorcall = make;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"quicken", quicken, METH_VARARGS,
     "quicken(cls, names, positional, defaults, missing): from now on a call of `cls` stores its arguments and does nothing else."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "raftkafka.model._passing",
    .m_doc = "The compiled making of passing values; see passing.py.",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__passing(void)
{
    layout_key = PyUnicode_InternFromString("__passing_layout__");
    return layout_key == NULL ? NULL : PyModule_Create(&definition);
}
