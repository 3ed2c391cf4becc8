namespace Trainer.Text.Parquet;

/// <summary>One column of a Parquet file: a leaf of its schema.</summary>
/// <param name="Path">The names from the top, joined by dots.</param>
/// <param name="Type">How its values are stored.</param>
/// <param name="Kind">What its values mean.</param>
/// <param name="MaxDefinition">The definition level of a value that is there; 0 where it must be there.</param>
/// <param name="MaxRepetition">Above 0 where a row may hold several values.</param>
internal sealed record SchemaLeaf(string Path, PhysicalType Type, TextKind Kind, int MaxDefinition, int MaxRepetition)
{
    /// <summary>Whether each row holds one text, or none.</summary>
    public bool IsText => Type == PhysicalType.ByteArray && Kind != TextKind.No && MaxRepetition == 0;
}

/// <summary>How values are stored (parquet.thrift, <c>Type</c>).</summary>
internal enum PhysicalType { Boolean, Int32, Int64, Int96, Float, Double, ByteArray, FixedLengthByteArray }

/// <summary>Whether bytes are text.</summary>
internal enum TextKind
{
    /// <summary>Bytes that nothing is said about: older writers store text so. They are read, and must be UTF-8.</summary>
    Unsaid,

    /// <summary>UTF-8: a string, an enumeration or JSON.</summary>
    Utf8,

    /// <summary>Something else, such as a decimal number.</summary>
    No,
}

/// <summary>The schema of a Parquet file, flattened to its leaves.</summary>
internal static class Schema
{
    private const int DeepestNesting = 200;

    /// <summary>Reads the list of schema elements.</summary>
    public static IReadOnlyList<SchemaLeaf> Read(ref ThriftReader thrift)
    {
        var count = thrift.List(ThriftType.Struct);
        var elements = new List<SchemaElement>();
        for (; count > 0; count--)
            elements.Add(SchemaElement.Read(ref thrift));
        if (elements.Count == 0)
            throw thrift.Damage("the schema is empty");
        var leaves = new List<SchemaLeaf>();
        var next = 1;
        Flatten(elements, elements[0].Children, ref next, null, (0, 0), leaves, ref thrift);
        return leaves;
    }

    private static void Flatten(
        List<SchemaElement> elements, int children, ref int next, Prefix? prefix, (int Definition, int Repetition) levels, List<SchemaLeaf> leaves, ref ThriftReader thrift)
    {
        if (prefix?.Depth > DeepestNesting)
            throw thrift.Damage($"the schema is nested deeper than {DeepestNesting}");
        for (; children > 0; children--)
        {
            if (next == elements.Count)
                throw thrift.Damage($"the schema has {elements.Count} elements, fewer than its groups count");
            var element = elements[next++];
            var definition = levels.Definition + (element.Repetition == 0 ? 0 : 1);
            var repetition = levels.Repetition + (element.Repetition == 2 ? 1 : 0);
            var path = new Prefix(prefix, element.Name);
            if (element.Type is { } type)
                leaves.Add(new SchemaLeaf(path.ToString(), type, element.Kind, definition, repetition));
            else
                Flatten(elements, element.Children, ref next, path, (definition, repetition), leaves, ref thrift);
        }
    }

    /// <summary>The groups around an element; composed only for leaves, so that deep schemas stay cheap.</summary>
    private sealed record Prefix(Prefix? Parent, string Name)
    {
        public int Depth { get; } = (Parent?.Depth ?? 0) + 1;

        public override string ToString()
        {
            var names = new Stack<string>();
            for (var part = this; part is not null; part = part.Parent)
                names.Push(part.Name);
            return string.Join('.', names);
        }
    }
}

/// <summary>One element of the schema as it is stored (parquet.thrift, <c>SchemaElement</c>).</summary>
internal sealed record SchemaElement(string Name, PhysicalType? Type, int Repetition, int Children, TextKind Kind)
{
    public static SchemaElement Read(ref ThriftReader thrift)
    {
        var (name, type, repetition, children, kind) = ("", (PhysicalType?)null, 0, 0, TextKind.Unsaid);
        for (short id = 0; thrift.Field(ref id) is var field and not ThriftType.Stop;)
            switch (id, field)
            {
                case (1, ThriftType.Int32):
                    type = (PhysicalType)thrift.Int32();
                    break;
                case (3, ThriftType.Int32):
                    repetition = thrift.Int32();
                    break;
                case (4, ThriftType.Binary):
                    name = thrift.String();
                    break;
                case (5, ThriftType.Int32):
                    children = thrift.Int32();
                    break;
                case (6, ThriftType.Int32):
                    kind = thrift.Int32() is 0 or 4 or 19 ? TextKind.Utf8 : TextKind.No;   // UTF8, ENUM, JSON of ConvertedType
                    break;
                case (10, ThriftType.Struct):
                    kind = LogicalType(ref thrift, kind);
                    break;
                default:
                    thrift.Skip(field);
                    break;
            }
        if (type is < PhysicalType.Boolean or > PhysicalType.FixedLengthByteArray || repetition is < 0 or > 2 || children < 0)
            throw thrift.Damage($"column \"{name}\" has type {(int?)type}, repetition {repetition} and {children} children, which cannot be");
        return new SchemaElement(name, children > 0 ? null : type, repetition, children, kind);
    }

    /// <summary>The union LogicalType: the one field that is set says which; 1 STRING, 4 ENUM, 12 JSON. It supersedes ConvertedType.</summary>
    private static TextKind LogicalType(ref ThriftReader thrift, TextKind kind)
    {
        for (short id = 0; thrift.Field(ref id) is var field and not ThriftType.Stop;)
        {
            kind = id is 1 or 4 or 12 ? TextKind.Utf8 : TextKind.No;
            thrift.Skip(field);
        }
        return kind;
    }
}
