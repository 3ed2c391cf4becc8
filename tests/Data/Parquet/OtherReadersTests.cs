using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Trainer.Data.Parquet;

namespace Trainer.Data.Tests.Parquet;

/// <summary>What is written here, three readers that share no code with its writer or with each other read as it was meant.</summary>
/// <remarks>TRAINER_PARQUET_READERS names the folder with their packages of npm (readers.mjs says which); without it the tests are
/// skipped.</remarks>
public sealed class OtherReadersTests : IDisposable
{
    private static readonly ParquetColumn[] Columns =
        [new("text", ParquetKind.Text), new("count", ParquetKind.Integer), new("loss", ParquetKind.Number)];
    private static readonly string Script = Path.Combine(AppContext.BaseDirectory, "Parquet", "readers.mjs");
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("duckdb")]
    [InlineData("rust")]
    [InlineData("javascript")]
    public async Task Every_cell_of_several_row_groups_is_read_as_written(string reader)
    {
        object?[][] odd =
        [
            ["a", 1L, 0.5], [null, null, null], ["", long.MaxValue, double.PositiveInfinity],
            ["漢字 😀\n\"\0", long.MinValue, double.MaxValue], ["\uFEFFend", 0L, -0.0],
        ];
        object?[][] rows = [.. odd, .. Enumerable.Range(0, 150_000).Select(Row)];
        ParquetTable.Write(folder["a.parquet"], Columns, rows);
        var lines = await Read(reader, folder["a.parquet"]);
        Assert.Equal("""[["text","text"],["count","integer"],["loss","number"]]""", lines[0]);
        Assert.Equal(rows.Select(Cells), lines.Skip(1).Select(line => JsonSerializer.Deserialize<string?[]>(line)!));
    }

    private static object?[] Row(int row) =>
        [row % 7 == 0 ? null : $"{(char)('À' + row % 500)} row {row}", row % 5 == 0 ? null : (long)row << 20, row % 3 == 0
            ? null : row / 7.0];

    private static string?[] Cells(object?[] row) =>
        [(string?)row[0], ((long?)row[1])?.ToString(CultureInfo.InvariantCulture), row[2] is double number
            ? BitConverter.DoubleToUInt64Bits(number).ToString("x16") : null];

    private static async Task<string[]> Read(string reader, string file)
    {
        if (Environment.GetEnvironmentVariable("TRAINER_PARQUET_READERS") is not { Length: > 0 } packages)
        {
            Assert.Skip("TRAINER_PARQUET_READERS names no folder with readers of Parquet");
            return [];
        }
        ProcessStartInfo start = new("node", ["--input-type=module", "-", reader, file])
        {
            WorkingDirectory = packages, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.StandardInput.WriteAsync(await File.ReadAllTextAsync(Script));
        process.StandardInput.Close();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, await errors);
        return (await output).Split('\n')[..^1];
    }
}
