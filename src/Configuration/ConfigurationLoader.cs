using Trainer.Configuration.Binding;
using Trainer.Configuration.Layers;

namespace Trainer.Configuration;

/// <summary>Loads a configuration from its layers, each over the one before: the bases that the file <c>extends</c>, the file,
/// environment variables (<c>TRAINER__training__steps</c>), overrides (<c>training.steps=100</c>).</summary>
/// <remarks>
/// <para>Objects are merged key by key. A list replaces a list as a whole; a single item is set by its index from the environment or
/// an override (<c>data.train.0.path=my.txt</c>), and the index after the last one appends. The text of an override or variable
/// may be a whole JSON list or object; <c>null</c> is null where null is allowed.</para>
/// <para>When a layer changes the variant of a closed hierarchy (its <c>type</c>), what lower layers set for the former variant is
/// dropped where the new one does not know it, and kept where it does. A variant that is not named is that of the default.</para>
/// <para>Names and choices in files must match in case; those in the environment and in overrides need not. A JSON string is taken for a number
/// or a truth value if it reads as one, since configuration keeps text; a number is never taken for text.</para>
/// <para>Rules on a list property that concern single values (a range) hold for each of its items.</para>
/// </remarks>
public static class ConfigurationLoader
{
    /// <summary>Loads a file with everything below and above it.</summary>
    /// <typeparam name="T">The record to bind into.</typeparam>
    /// <param name="path">The file, JSON with comments and trailing commas allowed.</param>
    /// <param name="overrides">Overrides, <c>path=value</c>; later ones win.</param>
    /// <param name="environment">Environment variables; those of the process if <see langword="null"/>.</param>
    /// <returns>The bound configuration.</returns>
    /// <exception cref="ConfigurationException">Anything is wrong; it holds everything that is.</exception>
    public static LoadedConfiguration<T> Load<T>(
        string path, IReadOnlyList<string> overrides, IReadOnlyDictionary<string, string>? environment = null)
    {
        var problems = new List<Problem>();
        var files = new FileChain(problems);
        files.Read(path);
        var variables = EnvironmentLayer.Read(environment ?? EnvironmentLayer.OfProcess(), problems);
        var commandLine = OverrideLayer.Read(overrides, problems);
        if (!files.IsWhole)
            throw new ConfigurationException(problems, path);
        return Bind<T>(new LayerStack([.. files.Layers, variables, commandLine]), files.Names, problems, path);
    }

    internal static LoadedConfiguration<T> Bind<T>(
        LayerStack stack, IReadOnlyList<string> files, List<Problem> problems, string source)
    {
        var value = new Binder(problems).BindRoot(stack.Root, typeof(T));
        if (problems.Count > 0)
            throw new ConfigurationException(problems, source);
        return new LoadedConfiguration<T>((T)value!, files, path => Explain(stack.Root.Find(path)));
    }

    private static string Explain(Setting setting) => setting.Exists ? setting.Origin : "by default";
}
