/*
 * The records of a batch, laid out and read: the loops of layout.py and walk.py, compiled.
 *
 * Floor 1, optional. Each function gives what the Python code would give, or None wherever it meets anything that it is not sure
 * of: malformed bytes, numbers beyond 64 bits, objects of unusual types. The caller then asks the Python code, which does the
 * work or raises the right error. So nothing here has to explain itself, and both are held equal by tests.
 *
 * Invariants: foreign bytes are read within [at, end) only, and every length is checked against what is left before it is used.
 * No Python code runs between the two passes of an encoder (the objects are exact lists, tuples, bytes, ints and strings), so what
 * was measured is what is written.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define HEADER_BYTES 61
#define RECORD_BYTES_MIN 7
#define SECTION_BYTES_MAX INT32_MAX /* a batch's length has 31 bits */
#define FIELD_BYTES_MAX INT32_MAX

/* ---- Writing ---- */

static inline uint64_t zigzag(int64_t value) { return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63); }

static inline int varint_bytes(uint64_t rest)
{
    int bytes = 1;
    while (rest >= 0x80) {
        rest >>= 7;
        bytes++;
    }
    return bytes;
}

static inline uint8_t *put_varint(uint8_t *to, uint64_t rest)
{
    while (rest >= 0x80) {
        *to++ = (uint8_t)(rest | 0x80);
        rest >>= 7;
    }
    *to++ = (uint8_t)rest;
    return to;
}

/* bytes or None, as RecordFields has them: its length, -1 for None, -2 for anything else. */
static inline Py_ssize_t field_length(PyObject *field)
{
    if (field == Py_None)
        return -1;
    if (!PyBytes_CheckExact(field) || PyBytes_GET_SIZE(field) > FIELD_BYTES_MAX)
        return -2;
    return PyBytes_GET_SIZE(field);
}

static inline int64_t field_bytes(Py_ssize_t length)
{
    return varint_bytes(zigzag(length)) + (length > 0 ? length : 0);
}

static inline uint8_t *put_field(uint8_t *to, PyObject *field, Py_ssize_t length)
{
    to = put_varint(to, zigzag(length));
    if (length > 0) {
        memcpy(to, PyBytes_AS_STRING(field), (size_t)length);
        to += length;
    }
    return to;
}

static PyObject *new_section(int64_t bytes)
{
    PyObject *out;
    if (bytes > SECTION_BYTES_MAX)
        Py_RETURN_NONE;
    out = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)(HEADER_BYTES + bytes));
    if (out != NULL)
        memset(PyByteArray_AS_STRING(out), 0, HEADER_BYTES);
    return out;
}

static inline int is_plain_sequence(PyObject *given) { return PyList_CheckExact(given) || PyTuple_CheckExact(given); }

PyDoc_STRVAR(lay_out_values_doc, "lay_out_values(values) -> bytearray | None\n\n"
                                 "Room for the header, then null-keyed records of the values, all of one time.");

static PyObject *lay_out_values(PyObject *module, PyObject *values)
{
    Py_ssize_t count, at;
    PyObject **items, *out;
    int64_t total = 0;
    uint8_t *to;

    (void)module;
    if (!is_plain_sequence(values))
        Py_RETURN_NONE;
    count = PySequence_Fast_GET_SIZE(values);
    items = PySequence_Fast_ITEMS(values);
    for (at = 0; at < count; at++) {
        int64_t body;
        if (!PyBytes_CheckExact(items[at]) || PyBytes_GET_SIZE(items[at]) > FIELD_BYTES_MAX)
            Py_RETURN_NONE;
        /* attributes, time delta, null key and header count take a byte each */
        body = 4 + varint_bytes(zigzag(at)) + field_bytes(PyBytes_GET_SIZE(items[at]));
        total += varint_bytes(zigzag(body)) + body;
        if (total > SECTION_BYTES_MAX)
            Py_RETURN_NONE;
    }
    out = new_section(total);
    if (out == NULL || out == Py_None)
        return out;
    to = (uint8_t *)PyByteArray_AS_STRING(out) + HEADER_BYTES;
    for (at = 0; at < count; at++) {
        Py_ssize_t length = PyBytes_GET_SIZE(items[at]);
        to = put_varint(to, zigzag(4 + varint_bytes(zigzag(at)) + field_bytes(length)));
        *to++ = 0;
        *to++ = 0;
        to = put_varint(to, zigzag(at));
        *to++ = 1;
        to = put_field(to, items[at], length);
        *to++ = 0;
    }
    return out;
}

/* The bytes of a record's headers with their count, or -1 for what the Python code shall judge. */
static int64_t headers_bytes(PyObject *headers)
{
    Py_ssize_t count, at;
    PyObject **items;
    int64_t total;

    if (!is_plain_sequence(headers))
        return -1;
    count = PySequence_Fast_GET_SIZE(headers);
    items = PySequence_Fast_ITEMS(headers);
    total = varint_bytes(zigzag(count));
    for (at = 0; at < count; at++) {
        Py_ssize_t name_bytes, length;
        if (!PyTuple_CheckExact(items[at]) || PyTuple_GET_SIZE(items[at]) != 2)
            return -1;
        if (!PyUnicode_CheckExact(PyTuple_GET_ITEM(items[at], 0)))
            return -1;
        if (PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(items[at], 0), &name_bytes) == NULL) {
            PyErr_Clear();
            return -1;
        }
        length = field_length(PyTuple_GET_ITEM(items[at], 1));
        if (length < -1 || name_bytes > FIELD_BYTES_MAX)
            return -1;
        total += field_bytes(name_bytes) + field_bytes(length);
        if (total > SECTION_BYTES_MAX)
            return -1;
    }
    return total;
}

static uint8_t *put_headers(uint8_t *to, PyObject *headers)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(headers), at;
    PyObject **items = PySequence_Fast_ITEMS(headers);

    to = put_varint(to, zigzag(count));
    for (at = 0; at < count; at++) {
        Py_ssize_t name_bytes;
        PyObject *content = PyTuple_GET_ITEM(items[at], 1);
        /* The string keeps its UTF-8 form since it was measured. */
        const char *name = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(items[at], 0), &name_bytes);
        to = put_varint(to, zigzag(name_bytes));
        memcpy(to, name, (size_t)name_bytes);
        to += name_bytes;
        to = put_field(to, content, field_length(content));
    }
    return to;
}

/* What a record needs beyond its length: its body, its time delta. False for what the Python code shall judge. */
static int measure(PyObject *record, Py_ssize_t offset_delta, int64_t base, int64_t *body, int64_t *time_delta)
{
    Py_ssize_t key, value;
    int64_t headers;
    long long time;
    int overflow;

    if (!PyTuple_CheckExact(record) || PyTuple_GET_SIZE(record) != 4 || !PyLong_CheckExact(PyTuple_GET_ITEM(record, 2)))
        return 0;
    time = PyLong_AsLongLongAndOverflow(PyTuple_GET_ITEM(record, 2), &overflow);
    if (overflow || __builtin_sub_overflow((int64_t)time, base, time_delta))
        return 0;
    key = field_length(PyTuple_GET_ITEM(record, 0));
    value = field_length(PyTuple_GET_ITEM(record, 1));
    if (key < -1 || value < -1)
        return 0;
    headers = headers_bytes(PyTuple_GET_ITEM(record, 3));
    if (headers < 0)
        return 0;
    *body = 1 + varint_bytes(zigzag(*time_delta)) + varint_bytes(zigzag(offset_delta)) + field_bytes(key) +
            field_bytes(value) + headers;
    return *body <= SECTION_BYTES_MAX;
}

PyDoc_STRVAR(lay_out_records_doc,
             "lay_out_records(records) -> tuple[bytearray, int, int] | None\n\n"
             "Room for the header, then the records (key, value, timestamp_ms, headers); the first and the largest time.");

static PyObject *lay_out_records(PyObject *module, PyObject *records)
{
    Py_ssize_t count, at;
    PyObject **items, *out;
    int64_t total = 0, base, newest;
    uint8_t *to;
    int overflow;

    (void)module;
    if (!is_plain_sequence(records) || PySequence_Fast_GET_SIZE(records) == 0)
        Py_RETURN_NONE;
    count = PySequence_Fast_GET_SIZE(records);
    items = PySequence_Fast_ITEMS(records);
    if (!PyTuple_CheckExact(items[0]) || PyTuple_GET_SIZE(items[0]) != 4 ||
        !PyLong_CheckExact(PyTuple_GET_ITEM(items[0], 2)))
        Py_RETURN_NONE;
    base = newest = PyLong_AsLongLongAndOverflow(PyTuple_GET_ITEM(items[0], 2), &overflow);
    if (overflow)
        Py_RETURN_NONE;
    for (at = 0; at < count; at++) {
        int64_t body, time_delta;
        if (!measure(items[at], at, base, &body, &time_delta))
            Py_RETURN_NONE;
        if (base + time_delta > newest)
            newest = base + time_delta;
        total += varint_bytes(zigzag(body)) + body;
        if (total > SECTION_BYTES_MAX)
            Py_RETURN_NONE;
    }
    out = new_section(total);
    if (out == NULL || out == Py_None)
        return out;
    to = (uint8_t *)PyByteArray_AS_STRING(out) + HEADER_BYTES;
    for (at = 0; at < count; at++) {
        int64_t body, time_delta;
        PyObject *key = PyTuple_GET_ITEM(items[at], 0), *value = PyTuple_GET_ITEM(items[at], 1);
        measure(items[at], at, base, &body, &time_delta);
        to = put_varint(to, zigzag(body));
        *to++ = 0;
        to = put_varint(to, zigzag(time_delta));
        to = put_varint(to, zigzag(at));
        to = put_field(to, key, field_length(key));
        to = put_field(to, value, field_length(value));
        to = put_headers(to, PyTuple_GET_ITEM(items[at], 3));
    }
    return Py_BuildValue("(NLL)", out, (long long)base, (long long)newest);
}

/* ---- Reading ---- */

/* One number; false when it is longer than `bytes_max`, beyond 64 bits, or leaves the record. */
static inline int get_varint(const uint8_t **from, const uint8_t *stop, int bytes_max, int64_t *value)
{
    const uint8_t *at = *from;
    uint64_t rest = 0;
    int shift;

    for (shift = 0; shift < 7 * bytes_max; shift += 7) {
        uint8_t byte;
        if (at >= stop)
            return 0;
        byte = *at++;
        if (shift == 63 && byte > 1)
            return 0;
        rest |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = (int64_t)(rest >> 1) ^ -(int64_t)(rest & 1);
            *from = at;
            return 1;
        }
    }
    return 0;
}

/* bytes, or None for a length of -1; NULL without an exception for what the Python code shall judge. */
static inline PyObject *get_field(const uint8_t **from, const uint8_t *stop)
{
    int64_t length;
    PyObject *field;

    if (!get_varint(from, stop, 5, &length))
        return NULL;
    if (length == -1)
        return Py_NewRef(Py_None);
    if (length < 0 || length > stop - *from)
        return NULL;
    field = PyBytes_FromStringAndSize((const char *)*from, (Py_ssize_t)length);
    *from += length;
    return field;
}

static inline int skip_field(const uint8_t **from, const uint8_t *stop)
{
    int64_t length;

    if (!get_varint(from, stop, 5, &length) || length < -1)
        return 0;
    if (length > 0) {
        if (length > stop - *from)
            return 0;
        *from += length;
    }
    return 1;
}

/* A tuple of (str, bytes | None); NULL as get_field. */
static PyObject *get_headers(const uint8_t **from, const uint8_t *stop, PyObject *none)
{
    int64_t count, at;
    PyObject *headers;

    if (!get_varint(from, stop, 5, &count) || count < 0 || count > (stop - *from) / 2)
        return NULL;
    if (count == 0)
        return Py_NewRef(none);
    headers = PyTuple_New((Py_ssize_t)count);
    for (at = 0; headers != NULL && at < count; at++) {
        int64_t length;
        PyObject *name = NULL, *content = NULL, *pair = NULL;
        if (get_varint(from, stop, 5, &length) && length >= 0 && length <= stop - *from) {
            name = PyUnicode_DecodeUTF8((const char *)*from, (Py_ssize_t)length, NULL);
            *from += length;
        }
        if (name != NULL)
            content = get_field(from, stop);
        if (content != NULL)
            pair = PyTuple_Pack(2, name, content);
        Py_XDECREF(name);
        Py_XDECREF(content);
        if (pair == NULL)
            Py_CLEAR(headers);
        else
            PyTuple_SET_ITEM(headers, (Py_ssize_t)at, pair);
    }
    return headers;
}

typedef struct {
    const uint8_t *at, *end;
    int64_t last_delta, previous;
} Reader;

/* The length, time delta and offset delta of the next record, whose fields lie up to *stop. */
static inline int next_record(Reader *reader, const uint8_t **stop, int64_t *time_delta, int64_t *offset_delta)
{
    int64_t length;

    if (!get_varint(&reader->at, reader->end, 5, &length) || length < RECORD_BYTES_MIN - 1 ||
        length > reader->end - reader->at)
        return 0;
    *stop = reader->at + length;
    reader->at++; /* the attributes: unused */
    if (!get_varint(&reader->at, *stop, 10, time_delta) || !get_varint(&reader->at, *stop, 5, offset_delta))
        return 0;
    if (*offset_delta <= reader->previous || *offset_delta > reader->last_delta)
        return 0;
    reader->previous = *offset_delta;
    return 1;
}

/* Whether the section can hold so many records at all; then the reader stands before the first. */
static int begin(Reader *reader, const Py_buffer *section, Py_ssize_t at, Py_ssize_t end, Py_ssize_t count, long long last_delta)
{
    if (at < 0 || end < at || end > section->len || count < 0 || count > (end - at) / RECORD_BYTES_MIN)
        return 0;
    reader->at = (const uint8_t *)section->buf + at;
    reader->end = (const uint8_t *)section->buf + end;
    reader->last_delta = last_delta;
    reader->previous = -1;
    return 1;
}

/* The list if it was filled, else None; an exception only for want of memory, foreign bytes cause none. */
static PyObject *finish(PyObject *list, int whole)
{
    if (whole)
        return list;
    Py_XDECREF(list);
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
            return NULL;
        PyErr_Clear();
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(read_values_doc, "read_values(section, at, end, count, last_delta) -> list[bytes | None] | None");

static PyObject *read_values(PyObject *module, PyObject *arguments)
{
    Py_buffer section;
    Py_ssize_t at, end, count, number;
    long long last_delta;
    PyObject *values = NULL, *headers, *none = NULL;
    Reader reader;
    int whole = 0;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "y*nnnL", &section, &at, &end, &count, &last_delta))
        return NULL;
    if (begin(&reader, &section, at, end, count, last_delta) && (none = PyTuple_New(0)) != NULL &&
        (values = PyList_New(count)) != NULL) {
        for (number = 0; number < count; number++) {
            const uint8_t *stop;
            int64_t time_delta, offset_delta;
            PyObject *value;
            if (!next_record(&reader, &stop, &time_delta, &offset_delta) || !skip_field(&reader.at, stop) ||
                (value = get_field(&reader.at, stop)) == NULL)
                break;
            PyList_SET_ITEM(values, number, value);
            if (reader.at < stop && *reader.at == 0)
                reader.at++;
            else if ((headers = get_headers(&reader.at, stop, none)) != NULL)
                Py_DECREF(headers); /* read all the same: they have to be well-formed */
            else
                break;
            if (reader.at != stop)
                break;
        }
        whole = number == count && reader.at == reader.end;
    }
    Py_XDECREF(none);
    PyBuffer_Release(&section);
    return finish(values, whole);
}

PyDoc_STRVAR(read_records_doc,
             "read_records(section, at, end, count, last_delta, base_offset, base_timestamp, append_time, record_type)"
             " -> list[Record] | None\n\n"
             "`append_time` None, or the time of all records; `record_type` is a tuple type of five.");

static PyObject *read_records(PyObject *module, PyObject *arguments)
{
    Py_buffer section;
    Py_ssize_t at, end, count, number;
    long long last_delta, base_offset, base_timestamp;
    PyObject *append_time, *records = NULL, *none = NULL, *time = NULL;
    PyTypeObject *type;
    int64_t timed = 0;
    Reader reader;
    int whole = 0;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "y*nnnLLLOO!", &section, &at, &end, &count, &last_delta, &base_offset,
                          &base_timestamp, &append_time, &PyType_Type, &type))
        return NULL;
    if (!PyType_IsSubtype(type, &PyTuple_Type)) {
        PyBuffer_Release(&section);
        PyErr_SetString(PyExc_TypeError, "record_type is no tuple type");
        return NULL;
    }
    if (append_time != Py_None)
        time = Py_NewRef(append_time);
    if (begin(&reader, &section, at, end, count, last_delta) && (none = PyTuple_New(0)) != NULL &&
        (records = PyList_New(count)) != NULL) {
        for (number = 0; number < count; number++) {
            const uint8_t *stop;
            int64_t time_delta, offset_delta, offset, timestamp;
            PyObject *record;
            if (!next_record(&reader, &stop, &time_delta, &offset_delta) ||
                __builtin_add_overflow((int64_t)base_offset, offset_delta, &offset))
                break;
            if (append_time == Py_None && (time == NULL || timed != time_delta)) {
                if (__builtin_add_overflow((int64_t)base_timestamp, time_delta, &timestamp))
                    break;
                Py_XDECREF(time);
                if ((time = PyLong_FromLongLong(timestamp)) == NULL)
                    break;
                timed = time_delta;
            }
            if ((record = type->tp_alloc(type, 5)) == NULL)
                break;
            PyList_SET_ITEM(records, number, record);
            PyTuple_SET_ITEM(record, 0, PyLong_FromLongLong(offset));
            PyTuple_SET_ITEM(record, 1, Py_NewRef(time));
            PyTuple_SET_ITEM(record, 2, get_field(&reader.at, stop));
            if (PyTuple_GET_ITEM(record, 0) == NULL || PyTuple_GET_ITEM(record, 2) == NULL)
                break;
            PyTuple_SET_ITEM(record, 3, get_field(&reader.at, stop));
            if (PyTuple_GET_ITEM(record, 3) == NULL)
                break;
            PyTuple_SET_ITEM(record, 4, get_headers(&reader.at, stop, none));
            if (PyTuple_GET_ITEM(record, 4) == NULL || reader.at != stop)
                break;
        }
        whole = number == count && reader.at == reader.end;
    }
    Py_XDECREF(time);
    Py_XDECREF(none);
    PyBuffer_Release(&section);
    return finish(records, whole);
}

static PyMethodDef functions[] = {
    {"lay_out_values", lay_out_values, METH_O, lay_out_values_doc},
    {"lay_out_records", lay_out_records, METH_O, lay_out_records_doc},
    {"read_values", read_values, METH_VARARGS, read_values_doc},
    {"read_records", read_records, METH_VARARGS, read_records_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "raftkafka.record._codec",
    .m_doc = "The loops of the record codec, compiled; see layout.py and walk.py for what they do.",
    .m_size = 0,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__codec(void) { return PyModule_Create(&definition); }
