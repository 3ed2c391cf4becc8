using System.Collections;
using static TorchSharp.torch.nn;

namespace TorchSharp.Modules
{
    /// <summary>Modules in order, each registered under its position.</summary>
    /// <typeparam name="T">The kind of module.</typeparam>
    public class ModuleList<T> : Module, IReadOnlyList<T> where T : Module
    {
        private readonly List<T> items = [];

        /// <summary>Holds the given modules.</summary>
        public ModuleList(params T[] modules) : base(nameof(ModuleList<T>))
        {
            foreach (var module in modules) Add(module);
        }

        /// <inheritdoc/>
        public int Count => items.Count;

        /// <inheritdoc/>
        public T this[int index] => items[index];

        /// <summary>Appends a module.</summary>
        public void Add(T module)
        {
            register_module(items.Count.ToString(), module);
            items.Add(module);
        }

        /// <summary>Appends modules.</summary>
        public void append(params T[] modules) => extend(modules);

        /// <summary>Appends modules.</summary>
        public void extend(IEnumerable<T> modules)
        {
            foreach (var module in modules) Add(module);
        }

        /// <inheritdoc/>
        public IEnumerator<T> GetEnumerator() => items.GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            /// <summary>A list of modules, each registered under its position.</summary>
            public static Modules.ModuleList<T> ModuleList<T>(params T[] modules) where T : Module => new(modules);
        }
    }
}
