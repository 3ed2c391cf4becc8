using System.Diagnostics;
using Trainer.Configuration;
using Trainer.Data.Corpora;

namespace Trainer.Data.Tests.Parquet;

/// <summary>Damaged files give an error or other text, and never a crash, a hang or a large allocation.</summary>
/// <remarks>TRAINER_FUZZ sets the number of inputs; without it a few thousand are tried.</remarks>
[Collection(nameof(Alone))]
public sealed class ParquetFuzzTests : IDisposable
{
    private const long MostBytes = 64 << 20;
    private static readonly TimeSpan MostTime = TimeSpan.FromSeconds(20);
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Mutated_files_are_errors_within_bounds_of_time_and_memory()
    {
        var inputs = Mutations.Count(20_000);
        var files = ParquetFixtures.Names.Select(name => File.ReadAllBytes(ParquetFixtures.PathOf(name))).Where(file => file.Length < 30_000).ToArray();
        var path = folder["mutated.parquet"];
        var refused = 0;
        using var process = Process.GetCurrentProcess();
        var peak = process.PeakWorkingSet64;
        for (var seed = 0; seed < inputs; seed++)
        {
            var random = new Random(seed);
            var file = files[random.Next(files.Length)];
            File.WriteAllBytes(path, Mutations.Mutate(file, files[random.Next(files.Length)], random));
            var (start, allocated) = (Environment.CpuUsage.TotalTime, GC.GetAllocatedBytesForCurrentThread());
            try
            {
                // as whole chunks, or through a buffer
                var (column, mostChunkBytes) = (random.Next(4) == 0 ? "meta.body" : "text", random.Next(2) << 24);
                foreach (var piece in RecordReader.Pieces(() => new Trainer.Data.Parquet.ParquetTextReader(path, column, mostChunkBytes)))
                    Assert.True(piece.Text.Length <= 1 << 20);
            }
            catch (UserException e)
            {
                Assert.Contains(path, e.Message);
                refused++;
            }
            catch (Exception e)
            {
                Assert.Fail($"seed {seed}: {e}");
            }
            var time = Environment.CpuUsage.TotalTime - start; // of the processor: the machine may be busy or pause
            Assert.True(time < MostTime, $"seed {seed} took {time}");
            Assert.True(GC.GetAllocatedBytesForCurrentThread() - allocated < MostBytes,
                $"seed {seed} allocated {GC.GetAllocatedBytesForCurrentThread() - allocated} bytes");
        }
        Assert.InRange(refused, inputs / 4, inputs);   // most damage is noticed; a changed letter cannot be
        process.Refresh();
        Assert.InRange(process.PeakWorkingSet64 - peak, -(1 << 20), 1L << 30); // Linux counts pages roughly
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{inputs} inputs, {refused} refused, {(process.PeakWorkingSet64 - peak) >> 20} MiB more at the height");
    }
}
