using System.Text.Json;
using Parquet.Serialization;
using ParquetSharp;
using ParquetSharp.Schema;
using Trainer.Configuration;
using Trainer.Data.Records;

namespace Trainer.Data.Tests.Records;

public sealed class DataRecordTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Lines_of_JSON_keep_their_numbers()
    {
        folder.Write("a.jsonl", "\ufeff{\"q\": 1}\n\n  \n{\"q\": [\"x\", {\"y\": null}]}\n");
        DataRecord[] records = [.. DataRecord.ReadAll([folder["a.jsonl"], folder["a.jsonl"]])];
        Assert.Equal([1, 4, 1, 4], records.Select(record => record.Number));
        Assert.Equal("{\"q\": [\"x\", {\"y\": null}]}", records[1].Fields.GetRawText());
    }

    [Theory]
    [InlineData("", ": it has no records")]
    [InlineData("[1]", ", line 1: it is no object")]
    [InlineData("{\"a\": 1}\n{", ", line 2: it is no JSON: ")]
    [InlineData("{\"a\": 1} x", ", line 1: it is no JSON: ")]
    public void Damaged_lines_are_refused(string text, string message)
    {
        folder.Write("a.jsonl", text);
        Assert.StartsWith(folder["a.jsonl"] + message, Assert.Throws<UserException>(() => DataRecord.ReadAll([folder["a.jsonl"]])).Message);
    }

    /// <summary>As the files of ARC, TruthfulQA, MMLU and BoolQ have them at Hugging Face.</summary>
    [Fact]
    public async Task Rows_of_Parquet_hold_lists_and_groups()
    {
        Question[] questions =
        [
            new() { Text = "Q", Choices = new() { Text = ["x", "ü"], Label = ["A", "B"] }, Answer = 1, Yes = true,
                Turns = [new() { Role = "user", Marks = [1, 2] }, new() { Role = "a", Marks = [] }, new() { Role = null, Marks = [3] }] },
            new() { Text = null, Choices = null, Plain = [], Half = 0.5 },
            new() { Text = "", Choices = new() { Text = [], Label = ["C"] }, Plain = ["only"], Turns = [] },
        ];
        await using (FileStream file = File.Create(folder["a.parquet"]))
            await ParquetSerializer.SerializeAsync(questions, file, new() { RowGroupSize = 2 });

        IReadOnlyList<DataRecord> records = DataRecord.ReadAll([folder["a.parquet"]]);

        Assert.Equal(
            questions.Select(question => JsonSerializer.Serialize(question)), records.Select(record => record.Fields.GetRawText()));
        Assert.Equal([1, 2, 3], records.Select(record => record.Number));
        Assert.Equal("row", records[0].Unit);
    }

    /// <summary>Items that are null, lists in lists, and the two-level lists of older writers.</summary>
    [Fact]
    public void Levels_of_definition_and_repetition_say_what_is_null_and_what_is_empty()
    {
        Node item = new PrimitiveNode("element", Repetition.Optional, LogicalType.None(), PhysicalType.Int64);
        Node inner = new GroupNode("element", Repetition.Optional, [new GroupNode("list", Repetition.Repeated, [item])], LogicalType.List());
        Node outer = new GroupNode("nested", Repetition.Optional, [new GroupNode("list", Repetition.Repeated, [inner])], LogicalType.List());
        Node old = new GroupNode("old", Repetition.Optional,
            [new PrimitiveNode("array", Repetition.Repeated, LogicalType.None(), PhysicalType.Int64)], LogicalType.List());
        Node bare = new PrimitiveNode("bare", Repetition.Repeated, LogicalType.None(), PhysicalType.Int64);
        Node day = new PrimitiveNode("day", Repetition.Required, LogicalType.Date(), PhysicalType.Int32);
        using (GroupNode schema = new("schema", Repetition.Required, [outer, old, bare, day]))
        using (WriterProperties properties = WriterProperties.GetDefaultWriterProperties())
        using (ParquetFileWriter writer = new(folder["a.parquet"], schema, properties))
        {
            using RowGroupWriter group = writer.AppendRowGroup();
            Write<long>(group, [5, 5, 4, 3, 2, 5, 1, 0], [0, 2, 2, 1, 1, 1, 0, 0], [1, 2, 3]);
            Write<long>(group, [2, 2, 1, 0], [0, 1, 0, 0], [1, 2]);
            Write<long>(group, [1, 0, 1, 1], [0, 0, 0, 1], [1, 2, 3]);
            Write<int>(group, [], [], [7, 8, 9]);
            writer.Close();
        }

        Assert.Equal(
        [
            """{"nested":[[1,2,null],[],null,[3]],"old":[1,2],"bare":[1]}""",
            """{"nested":[],"old":[],"bare":[]}""",
            """{"nested":null,"old":null,"bare":[2,3]}""",
        ], DataRecord.ReadAll([folder["a.parquet"]]).Select(record => record.Fields.GetRawText()));
    }

    [Fact]
    public async Task Damaged_rows_are_refused()
    {
        await using (FileStream file = File.Create(folder["a.parquet"]))
            await ParquetSerializer.SerializeAsync(new Question[] { new() { Text = "Q", Plain = ["a"] } }, file);
        byte[] whole = File.ReadAllBytes(folder["a.parquet"]);
        int refused = 0;
        Random random = new(1);
        for (int trial = 0; trial < 300; trial++)
        {
            byte[] bytes = [.. trial % 3 == 0 ? whole[..random.Next(whole.Length)] : whole];
            if (trial % 3 != 0) bytes[random.Next(4, bytes.Length)] = (byte)random.Next(256);
            File.WriteAllBytes(folder["a.parquet"], bytes);
            try
            {
                DataRecord.ReadAll([folder["a.parquet"]]);
            }
            catch (UserException error)
            {
                Assert.StartsWith(folder["a.parquet"], error.Message);
                refused++;
            }
        }
        Assert.InRange(refused, 100, 300);
    }

    private static void Write<T>(RowGroupWriter group, short[] definitions, short[] repetitions, T[] values) where T : unmanaged
    {
        using ColumnWriter<T> column = (ColumnWriter<T>)group.NextColumn();
        column.WriteBatch(Math.Max(definitions.Length, values.Length), definitions, repetitions, values);
    }

    private sealed class Question
    {
        public string? Text { get; set; }

        public Choices? Choices { get; set; }

        public List<string>? Plain { get; set; }

        public long? Answer { get; set; }

        public bool Yes { get; set; }

        public double? Half { get; set; }

        public List<Turn>? Turns { get; set; }
    }

    private sealed class Choices
    {
        public List<string>? Text { get; set; }

        public List<string>? Label { get; set; }
    }

    private sealed class Turn
    {
        public string? Role { get; set; }

        public List<long>? Marks { get; set; }
    }
}
