// The way of Vite's guide behind a proxy: it answers under this host only.
export default { server: { allowedHosts: ['apps.test'] } };
