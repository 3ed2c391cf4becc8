using FsCheck.Fluent;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Batches;

public sealed class MixedStreamTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void At_every_moment_each_has_had_its_share_to_within_one_turn() =>
        Prop.ForAll((
            from count in Gen.Choose(2, 9)
            from weights in Gen.Choose(1, 1000).ListOf(count)
            from scale in Gen.Elements(0.001, 1.0, 77.7)
            select weights.Select(weight => weight * scale).ToArray()).ToArbitrary(), weights =>
        {
            var interleave = new WeightedInterleave(weights);
            for (var turn = 1; turn <= 3000; turn++)
            {
                interleave.Next();
                for (var i = 0; i < weights.Length; i++)
                    Assert.InRange(interleave.Taken[i] - turn * weights[i] / weights.Sum(), -1.0001, 1.0001);
                Assert.True(interleave.IsFair);
            }
        }).Holds(30);

    [Fact]
    public void Tiny_weights_and_long_runs_stay_exact()
    {
        var interleave = new WeightedInterleave([1e-6, 1, 1e6]);
        interleave.Taken = [0, 1_000_000_000, 1_000_000_000_000_000];
        Assert.False(new WeightedInterleave([1, 1]) { Taken = [10, 20] }.IsFair);
        for (var turn = 0; turn < 1000; turn++)
            interleave.Next();
        Assert.Equal(1_000_001_000_001_000, interleave.Total);
    }

    [Fact]
    public void Each_source_is_visited_without_replacement_whatever_the_weights()
    {
        using var shard = folder.Shard(Enumerable.Range(0, 1200));
        var stream = new CropRows(shard, 10).Open([new("small", 0, 200), new("large", 200, 1000)], [3, 1], seed: 4);
        var starts = Enumerable.Range(0, 400).Select(_ => stream.Next(1).Inputs[0]).ToArray();
        Assert.Equal(300, starts.Count(start => start < 200));
        var small = starts.Where(start => start < 200).Take(19).ToArray();
        var large = starts.Where(start => start >= 200).Take(98).ToArray();
        Assert.Equal(small.Length, small.Distinct().Count());
        Assert.Equal(large.Length, large.Distinct().Count());
        Assert.All(large, start => Assert.InRange(start, 200, 1189));
    }

    [Fact]
    public void A_recipe_with_weights_mixes_and_one_without_draws_by_size()
    {
        folder.Write("a.txt", new string('a', 900));
        folder.Write("b.txt", new string('b', 90));
        folder.Write("v.txt", new string('a', 90));
        double ShareOfB(double? weight)
        {
            var options = new DataOptions
            {
                Train = [new SourceOptions { Path = folder["a.txt"] }, new SourceOptions { Path = folder["b.txt"], Weight = weight }],
                Validation = [new SourceOptions { Path = folder["v.txt"] }],
            };
            using var data = DataPreparation.Prepare(options, new ByteTokenizerOptions(), folder["datasets"]);
            return BatchStream.Create(data, options, 8, seed: 1).Next(2000).Inputs.Count(token => token == 'b') / 16000.0;
        }
        Assert.Equal(0.75, ShareOfB(3), 0.0001);
        Assert.Equal(0.09, ShareOfB(null), 0.01);
    }
}
