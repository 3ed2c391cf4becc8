namespace Trainer.Kernels;

/// <summary>Functions that TorchSharp's native part calls and a libtorch does not have, by what they are for.</summary>
/// <remarks>The system's loader binds a function when it is called first, and ends the process where it is missing. So it is asked
/// before, and what this program can do without is let through: libtorch 2.14 lacks 17 of 1,204.</remarks>
internal sealed class MissingSymbols
{
    private readonly List<string> needed = [], autograd = [], named = [];

    /// <param name="required">What the native part needs of other libraries, as <see cref="ElfLibrary.RequiredSymbols"/> names it.</param>
    /// <param name="isThere">Whether some library has it.</param>
    public MissingSymbols(IEnumerable<string> required, Func<string, bool> isThere)
    {
        foreach (var symbol in required)
            if (!isThere(symbol)) ListOf(symbol).Add(ElfLibrary.Readable(symbol));
    }

    /// <summary>Those without which nothing runs.</summary>
    public IReadOnlyList<string> Needed => needed;

    /// <summary>Those of operations whose backward pass is C#.</summary>
    public IReadOnlyList<string> AutogradFunctions => autograd;

    /// <summary>A line for people; null where nothing is missing.</summary>
    public string? Description
    {
        get
        {
            List<string> parts = [];
            if (autograd.Count > 0)
                parts.Add($"{autograd.Count} of backward passes in C#, which some models train with ({string.Join(", ", autograd)})");
            if (named.Count > 0) parts.Add($"{named.Count} of named tensors, which nothing here uses");
            return parts.Count == 0 ? null : $"functions of libtorch 2.10: {string.Join("; ", parts)}";
        }
    }

    private List<string> ListOf(string symbol) => IsOfNamedTensors(symbol) ? named : IsOfAutogradFunctions(symbol) ? autograd : needed;

    private static bool IsOfNamedTensors(string symbol) => symbol.Contains("Dimname") || symbol.Contains("_namesE");

    private static bool IsOfAutogradFunctions(string symbol) =>
        symbol.Contains("5torch8autograd") && !symbol.Contains("4gradE") && !symbol.Contains("8backwardE");
}
