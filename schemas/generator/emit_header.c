/* The declarations: one struct per record, one enum per enum, encode and decode per message. */
#include <ctype.h>
#include <string.h>

#include "schemas/generator/emit.h"

static void put_upper(FILE *out, const char *text)
{
    for (; *text; text++)
        (void)fputc(toupper((unsigned char)*text), out);
}

static void emit_enum(FILE *out, const struct type *type)
{
    (void)fprintf(out, "/* %s */\nenum msg_%s {\n", type->doc ? type->doc : type->name, type->word);
    for (size_t i = 0; i < type->symbol_count; i++) {
        (void)fprintf(out, "    MSG_");
        put_upper(out, type->word);
        (void)fprintf(out, "_%s,\n", type->symbols[i]);
    }
    (void)fprintf(out, "};\n#define MSG_");
    put_upper(out, type->word);
    (void)fprintf(out,
                  "_COUNT %zu\nconst char *msg_%s_name(enum msg_%s value); /* lower case; \"?\" when out of "
                  "range */\n\n",
                  type->symbol_count, type->word, type->word);
}

static void emit_container(FILE *out, const struct type *type)
{
    const char *item = type->item->kind == KIND_FIXED ? "uint8_t" : type->item->c_name;
    if (type->kind == KIND_ARRAY)
        (void)fprintf(out, "%s {\n    %s *items;\n    size_t count;\n};\n\n", type->c_name, item);
    else
        (void)fprintf(out,
                      "struct msg_%s_entry {\n    struct str key;\n    %s value;\n};\n%s {\n    struct "
                      "msg_%s_entry *items;\n"
                      "    size_t count;\n};\n\n",
                      type->item->word, item, type->c_name, type->item->word);
}

static void emit_field(FILE *out, const struct field *field)
{
    const struct type *type = field->type;
    if (type->kind == KIND_OPTIONAL) {
        (void)fprintf(out, "    bool has_%s;\n", field->c_name);
        type = type->item;
    }
    if (type->kind == KIND_FIXED)
        (void)fprintf(out, "    uint8_t %s[%zu];", field->c_name, type->fixed_size);
    else
        (void)fprintf(out, "    %s %s;", type->c_name, field->c_name);
    (void)fprintf(out, " /* %s */\n", field->doc ? field->doc : field->name);
}

static void emit_record(FILE *out, const struct type *type)
{
    (void)fprintf(out, "/* %s */\n%s {\n", type->doc ? type->doc : type->name, type->c_name);
    for (size_t i = 0; i < type->field_count; i++)
        emit_field(out, &type->fields[i]);
    (void)fprintf(out, "};\n\n");
}

static void emit_message(FILE *out, const struct type *type)
{
    (void)fprintf(out,
                  "void msg_%s_encode(const %s *message, struct buffer *out);\n"
                  "FS_MUST_CHECK int msg_%s_decode(struct str bytes, struct arena *arena, %s *out);\n"
                  "extern const struct msg_type msg_%s_type;\n\n",
                  type->word, type->c_name, type->word, type->c_name, type->word);
}

void emit_header(FILE *out, const struct model *model)
{
    (void)fprintf(
        out,
        "/* Generated from the .avsc files in schemas/ by schemas/generator: change those, not this file.\n"
        " *\n"
        " * encode appends the Avro body (no framing); its error is the buffer's sticky one.\n"
        " * decode: 0; -EBADMSG when the bytes are not exactly one such value; -ENOMEM at the arena's limit. "
        "*out is\n"
        " * written only on success; its strings borrow from bytes, its arrays from the arena. */\n"
        "#ifndef FORESTALL_SCHEMAS_MESSAGES_H\n#define FORESTALL_SCHEMAS_MESSAGES_H\n\n"
        "#include \"common/arena.h\"\n#include \"common/base.h\"\n#include \"common/buffer.h\"\n"
        "#include \"schemas/type.h\"\n\n");
    for (size_t i = 0; i < model->type_count; i++) {
        const struct type *type = model->types[i];
        if (type->kind == KIND_ENUM)
            emit_enum(out, type);
        else if (type->kind == KIND_RECORD)
            emit_record(out, type);
        else if (type->kind == KIND_ARRAY || type->kind == KIND_MAP)
            emit_container(out, type);
    }
    for (size_t i = 0; i < model->message_count; i++)
        emit_message(out, model->messages[i].type);
    (void)fprintf(out,
                  "#define MSG_TYPE_COUNT %zu\nextern const struct msg_type *const "
                  "msg_types[MSG_TYPE_COUNT];\n\n#endif\n",
                  model->message_count);
}
