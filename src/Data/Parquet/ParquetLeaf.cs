using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using ParquetSharp;
using ParquetSharp.Schema;
using Trainer.Configuration;

namespace Trainer.Data.Parquet;

/// <summary>A column of values, and the lists and groups that they are in.</summary>
internal sealed class ParquetLeaf
{
    private const int BatchValues = 4096;

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly ColumnDescriptor column;
    private readonly Step[] steps;

    private ParquetLeaf(int index, ColumnDescriptor column, Step[] steps)
    {
        (Index, this.column, this.steps, Path) = (index, column, steps, column.Path.ToDotString());
        IsKnown = column.PhysicalType is PhysicalType.Boolean or PhysicalType.Int32 or PhysicalType.Int64 or PhysicalType.Float
            or PhysicalType.Double or PhysicalType.ByteArray && Meaning(column) is LogicalTypeEnum.None or LogicalTypeEnum.String
            or LogicalTypeEnum.Enum or LogicalTypeEnum.Json or LogicalTypeEnum.Int;
    }

    /// <summary>A field by its name, or the items of a list (no name). A definition level below <c>Exists</c> is of an empty list, one
    /// below <c>Present</c> of a null.</summary>
    private readonly record struct Step(string? Name, int Exists, int Present);

    public int Index { get; }

    /// <summary>Names joined by dots, those of the lists' own groups among them.</summary>
    public string Path { get; }

    /// <summary>Whether the values are texts, numbers or truth values.</summary>
    public bool IsKnown { get; }

    public static IReadOnlyList<ParquetLeaf> All(SchemaDescriptor schema)
    {
        List<ParquetLeaf> leaves = [];
        foreach (var field in schema.GroupNode.Fields)
            Add(field, field.Name, 0, []);
        return leaves;

        void Add(Node node, string? name, int exists, Step[] before)
        {
            var level = exists + (node.Repetition == Repetition.Optional ? 1 : 0);
            Step[] steps = [.. before, new(name, exists, level)];
            if (node.Repetition == Repetition.Repeated)   // a list without a group of its own
                (level, steps) = (level + 1, [.. steps, new(null, level + 1, level + 1)]);
            if (node is not GroupNode group)
                leaves.Add(new ParquetLeaf(leaves.Count, schema.Column(leaves.Count), steps));
            else if (group.LogicalType.Type == LogicalTypeEnum.List
                && group.Fields is [{ Repetition: Repetition.Repeated } repeated])
                AddItems(repeated, group.Name, level + 1, steps);
            else
                foreach (var field in group.Fields)
                    Add(field, field.Name, level, steps);
        }

        // Of the standard's three levels, the middle one has no value; older writers have two (its backward-compatibility rules).
        void AddItems(Node repeated, string list, int level, Step[] before)
        {
            if (repeated is GroupNode { Fields: [var item] } group && group.Name != "array" && group.Name != $"{list}_tuple")
                Add(item, null, level, before);
            else if (repeated is GroupNode record)
                foreach (var field in record.Fields)
                    Add(field, field.Name, level, [.. before, new(null, level, level)]);
            else
                leaves.Add(new ParquetLeaf(leaves.Count, schema.Column(leaves.Count), [.. before, new(null, level, level)]));
        }
    }

    /// <summary>Adds the column's values to rows, or makes the rows, and returns how many rows it has.</summary>
    public long Fill(List<JsonObject> rows, bool isFirst, ColumnReader reader, Func<string, UserException> wrong) => reader switch
    {
        ColumnReader<bool> values => Fill(rows, isFirst, values, value => JsonValue.Create(value), wrong),
        ColumnReader<int> values => Fill(rows, isFirst, values, value => JsonValue.Create((long)value), wrong),
        ColumnReader<long> values => Fill(rows, isFirst, values, value => JsonValue.Create(value), wrong),
        ColumnReader<float> values => Fill(rows, isFirst, values, value => Number(value), wrong),
        ColumnReader<double> values => Fill(rows, isFirst, values, Number, wrong),
        ColumnReader<ByteArray> values => Fill(rows, isFirst, values, value => Text(value, wrong), wrong),
        _ => throw wrong($"its values are of type {column.PhysicalType}, which is not read"),
    };

    private long Fill<T>(List<JsonObject> rows, bool isFirst, ColumnReader<T> reader, Func<T, JsonValue> value,
        Func<string, UserException> wrong) where T : unmanaged
    {
        var (most, lists) = (column.MaxDefinitionLevel, column.MaxRepetitionLevel);
        short[] definitions = new short[BatchValues], repetitions = new short[BatchValues];
        var values = new T[BatchValues];
        var places = new int[lists + 1];
        var row = -1;
        while (reader.HasNext)
        {
            var count = (int)reader.ReadBatch(
                BatchValues, most > 0 ? definitions : [], lists > 0 ? repetitions : [], values, out var present);
            if (count == 0 || present != (most > 0 ? definitions.AsSpan(0, count).Count((short)most) : count))
                throw wrong($"a page has {count} entries and {present} values");
            for (var (entry, next) = (0, 0); entry < count; entry++)
            {
                var (repetition, definition) = (lists > 0 ? repetitions[entry] : 0, most > 0 ? definitions[entry] : most);
                if (repetition == 0 && ++row == rows.Count && isFirst)
                    rows.Add([]);
                if (row < 0 || row >= rows.Count)
                    throw wrong("it has other rows than the columns before it");
                // An entry goes on with the list of its level, and begins those within it.
                places.AsSpan(repetition + 1).Clear();
                if (repetition > 0)
                    places[repetition]++;
                if (!Put(rows[row], places, definition, definition == most ? value(values[next++]) : null))
                    throw wrong("its lists are other ones than those of the columns before it");
            }
        }
        return row + 1;
    }

    private bool Put(JsonNode container, int[] places, int definition, JsonValue? value)
    {
        var list = 0;
        for (var i = 0; i < steps.Length; i++)
        {
            var (name, exists, present) = steps[i];
            if (definition < exists)
                return true;
            JsonNode? node = definition < present ? null : i == steps.Length - 1 ? value
                : steps[i + 1].Name is null ? new JsonArray() : new JsonObject();
            JsonNode? held;
            if (container is JsonObject fields)
            {
                if (!fields.TryGetPropertyValue(name!, out held))
                    fields[name!] = held = node;
            }
            else
            {
                var (items, place) = ((JsonArray)container, places[++list]);
                if (place > items.Count)
                    return false;
                if (place == items.Count)
                    items.Add(node);
                held = items[place];
            }
            if (definition < present || held is null || i == steps.Length - 1)
                return (held is null) == (node is null);
            container = held;
        }
        return true;
    }

    private static JsonValue Number(double value) => double.IsFinite(value) ? JsonValue.Create(value)
        : JsonValue.Create(value.ToString(CultureInfo.InvariantCulture));

    private static JsonValue Text(ByteArray text, Func<string, UserException> wrong)
    {
        var bytes = new byte[text.Length];
        if (bytes.Length > 0)
            Marshal.Copy(text.Pointer, bytes, 0, bytes.Length);
        try
        {
            return JsonValue.Create(Utf8.GetString(bytes));
        }
        catch (DecoderFallbackException)
        {
            throw wrong("a text is not valid UTF-8");
        }
    }

    /// <summary>ParquetSharp throws at types that it has no name for.</summary>
    private static LogicalTypeEnum Meaning(ColumnDescriptor column)
    {
        try
        {
            return column.LogicalType.Type;
        }
        catch (ArgumentOutOfRangeException)
        {
            return LogicalTypeEnum.Undefined;
        }
    }
}
