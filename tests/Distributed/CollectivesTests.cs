using System.Collections.Concurrent;
using Trainer.Distributed.Worker;

namespace Trainer.Distributed.Tests;

/// <summary>What the ranks of real runs found (<see cref="Cases"/>): one run a library and number of ranks, a row for each case.</summary>
public sealed class CollectivesTests
{
    private static readonly ConcurrentDictionary<(string, int, string), Lazy<Dictionary<string, string>>> Runs = [];

    public static TheoryData<string, int, string> InRankOrder => Rows([2, 4], Cases.Names);

    public static TheoryData<string, int, string> InLibraryOrder => Rows([3], Cases.Names.Where(Cases.IsOfSums));

    [Theory]
    [MemberData(nameof(InRankOrder))]
    public void Every_rank_gets_what_it_should(string mpi, int ranks, string name) => Holds(mpi, ranks, "rank", name);

    [Theory]
    [MemberData(nameof(InLibraryOrder))]
    public void Sums_in_the_order_of_the_library_are_the_same_everywhere(string mpi, int ranks, string name) =>
        Holds(mpi, ranks, "library", name);

    private static TheoryData<string, int, string> Rows(int[] ranks, IEnumerable<string> names)
    {
        var rows = new TheoryData<string, int, string>();
        foreach (var mpi in (string[])[Mpirun.OpenMpi, Mpirun.Mpich])
            foreach (var count in ranks)
                foreach (var name in names) rows.Add(mpi, count, name);
        return rows;
    }

    private static void Holds(string mpi, int ranks, string order, string name)
    {
        Mpirun.Require(mpi);
        var found = Runs.GetOrAdd((mpi, ranks, order), _ => new(() => Run(mpi, ranks, order))).Value;
        Assert.Equal("", found[name]);
    }

    private static Dictionary<string, string> Run(string mpi, int ranks, string order)
    {
        var run = Mpirun.Run(mpi, ranks, ["collectives", order]);
        Assert.True(run.ExitCode == 0, run.Output + run.Error);
        // A line may begin with what .NET tells a terminal, as which Open MPI's mpirun appears.
        return run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Trim('\r').Split('\t'))
            .Where(fields => fields.Length == 2).ToDictionary(fields => fields[0][(fields[0].LastIndexOf('=') + 1)..], fields => fields[1]);
    }
}
